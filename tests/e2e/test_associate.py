"""From raw exposures to mosaics and a spectrum by --associate alone, and what runs again."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow

EXPOSURE = "jw01234001001_02101_{:05d}_nrcb1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("associated")


@pytest.fixture(scope="module")
def calwebb(user, sample, folder):
    """Run the command in an empty folder; gives what it says."""
    environment = user | {"CRDS_PATH": str(sample.crds_path)}

    def run(*arguments):
        command = [sys.executable, "-m", "flows.calwebb", *map(str, arguments), "--associate"]
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def made(calwebb):
    return calwebb("--grid", "shared")


def header_of_grid(path):
    header = fits.getheader(path, "SCI")
    names = (f"{name}{axis}" for name in ("NAXIS", "CRVAL", "CRPIX", "CDELT") for axis in (1, 2))
    return [header[name] for name in (*names, "PC1_1", "PC1_2")]


def test_two_mosaics_and_a_spectrum_give_back_the_truth(made, folder):
    assert "The truth was recovered" in made
    assert "spectrum ratio" in " ".join(made.split())
    products = folder / "calwebb_products"
    grids = [header_of_grid(path) for path in products.glob("jw01234-o001_*_i2d.fits")]
    assert len(grids) == 2 and grids[0] == grids[1]
    assert len([*products.glob("jw01234-o003_*_x1d.fits")]) == 1


def test_again_there_is_nothing_to_do(made, calwebb):
    plan = calwebb("--grid", "shared", "--plan")
    assert re.search(r"^0 of \d+ will run$", plan, re.MULTILINE)
    assert "shared grid, calwebb_image3: steps.resample.crval=[53.16" in plan


def test_other_pixels_are_a_reason_to_make_the_mosaics_again(made, calwebb):
    plan = calwebb("--grid", "shared", "--plan", "--steps.resample.pixel_scale=0.06")
    assert len([name for name in will_run(plan) if "image3" in name]) == 2
    said = " ".join(plan.split())
    assert "parameter resample.pixel_scale 0.031 → 0.06 (shared grid → flow run)" in said


def test_mosaic_that_does_not_fit_the_memory_is_the_same(made, calwebb, folder, differences):
    products = folder / "calwebb_products"
    (mosaic,) = products.glob("jw01234-o001_*f150w*_i2d.fits")
    (path,) = products.glob("*f150w*.calwebb_image3.provenance.json")
    record = json.loads(path.read_text())
    record["run"]["peak_memory_mb"] = 1e9  # as if the last run had needed that
    path.write_text(json.dumps(record))
    before = mosaic.rename(folder / mosaic.name)
    calwebb("--grid", "shared")
    parameters = json.loads(path.read_text())["parameters"]
    (row,) = (row for row in parameters if (row["step"], row["parameter"]) == ("", "in_memory"))
    assert (row["value"], row["source"]) == (False, "memory")
    assert differences(mosaic, before) == []


def will_run(text):
    return {
        line.split()[0]
        for line in text.splitlines()
        if re.search(r"^\S+ +calwebb_\S+ +will run", line)
    }


def test_an_exposure_more_runs_itself_and_what_it_belongs_to(sample, calwebb, folder):
    raw, out = folder / "raw", folder / "out"
    raw.mkdir()
    first, second, third, *_ = sample.exposures
    for exposure in (first, second):
        shutil.copy(exposure, raw)
    calwebb(raw, "--output-dir", out)
    shutil.copy(third, raw)
    mosaic = "jw01234-o001_tsimulated_nircam_clear-f200w-generic_image3_asn.json"
    name = EXPOSURE.format(3)
    assert will_run(calwebb(raw, "--output-dir", out, "--plan")) == {
        f"{name}_uncal.fits",
        f"{name}_image2_asn.json",
        mosaic,
    }


def test_a_nod_more_also_runs_those_it_is_the_background_of(sample, calwebb, folder):
    first, second = (path for path in sample.others if "mirimage" in path.name)
    calwebb(first, "--output-dir", folder / "nods")
    plan = calwebb(first, second, "--output-dir", folder / "nods", "--plan")
    assert will_run(plan) == {
        f"{path.name.removesuffix('_rate.fits')}_spec2_asn.json" for path in (first, second)
    } | {"jw01234-o003_tsimulated_miri_p750l-generic_spec3_asn.json"}
    assert f"{second.name} is new" in " ".join(plan.split())
