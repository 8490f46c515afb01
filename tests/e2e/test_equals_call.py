"""Flows of the real jwst pipelines make what plain ``.call`` makes in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.sample import nircam
from flows.sample.exposures import POINTING_ERROR
from flows.sample.ramps import SKY_BRIGHTNESS
from flows.sample.truth import Truth
from stpipe_prefect.comparison.products import compare_products
from stpipe_prefect.provenance.estimators import FWHM_TO_SIGMA
from stpipe_prefect.provenance.record import find_record

AS_FLOWS = """
import json, sys
from stpipe_prefect import as_flow

for pipeline, exposure in json.loads(sys.argv[1]):
    as_flow(f"jwst.pipeline.{pipeline}")(exposure, output_dir=sys.argv[2], crds_context=sys.argv[3])
"""

MAKES = {
    "calwebb_detector1": ("_rate.fits", "_rateints.fits"),
    "calwebb_image2": ("_cal.fits",),
    "calwebb_image3": ("_i2d.fits", "_cat.ecsv", "_segm.fits", "_crf.fits"),
    "calwebb_dark": ("_darkpipeline.fits",),
    "calwebb_spec2": ("_cal.fits", "_s2d.fits", "_x1d.fits"),
    "calwebb_guider": ("_cal.fits",),
}
"""Suffixes of the products that are compared, by pipeline."""


@pytest.fixture(scope="module")
def products(calibrated):
    return calibrated("jwst_0002.pmap")


@pytest.fixture(scope="module")
def made_by_flows(user, products, calibration_jobs, sample, tmp_path_factory):
    """Run what plain jwst ran for `products`, as flows."""
    out = tmp_path_factory.mktemp("flows")
    jobs = json.dumps(calibration_jobs(out))
    done = subprocess.run(
        [sys.executable, "-m", "run_code", AS_FLOWS, jobs, out, products.context],
        env=user | {"CRDS_PATH": str(sample.crds_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_flows_make_the_same_files(products, made_by_flows):
    assert _names(made_by_flows) == _names(products.folder)


def test_every_array_table_and_card_is_the_same(products, made_by_flows, differences):
    for name in _names(products.folder):
        assert differences(made_by_flows / name, products.folder / name) == []


def test_compare_calls_one_of_each_kind_identical(products, made_by_flows):
    kinds = {name.rpartition("_")[2]: name for name in _names(products.folder)}
    for name in kinds.values():
        found = compare_products(made_by_flows / name, products.folder / name)
        different = [part for part in found.parts if not part.is_identical]
        assert different == [], name


@pytest.mark.parametrize("pipeline", MAKES)
def test_comparison_covers_every_pipeline(products, pipeline):
    if pipeline == "calwebb_guider" and not list(products.folder.glob("*gs-acq1*")):
        pytest.skip("the flight acquisition exposure is not at hand beside the checkout")
    for suffix in MAKES[pipeline]:
        assert list(products.folder.glob(f"*{suffix}")), suffix


def test_comparison_notices_one_pixel(products, differences, tmp_path):
    from astropy.io import fits

    original = next(products.folder.glob("*_rate.fits"))
    changed = tmp_path / original.name
    with fits.open(original) as hdus:
        hdus["SCI"].data[10, 10] += 1
        hdus[0].header["FILTER"] = "F150W"
        hdus.writeto(changed)
    found = differences(changed, original)
    assert len(found) == 2
    assert "FILTER" in found[0]
    assert "SCI: other values" in found[1]


def test_statistics_in_the_records_give_back_what_was_put_in(made_by_flows, truth):
    def statistics(product):
        return find_record(made_by_flows / product).statistics[product]

    width = FWHM_TO_SIGMA * (nircam.PSF_SIGMA**2 + 1 / 12) ** 0.5  # pixels are not points
    known = Truth.load(truth)
    for number, exposure in enumerate(known.exposures, 1):
        found = statistics(f"{exposure.name}_cal.fits")
        assert found["sky"] == pytest.approx(SKY_BRIGHTNESS * (1 + 0.05 * number), rel=0.01)
        assert found["sources"] == pytest.approx(len(known.stars), rel=0.05)
        assert found["source_fwhm_pixels"] == pytest.approx(width, rel=0.03)
        # All but the first are pointed a little beside where they say; see `POINTING_ERROR`.
        aligned = statistics(f"{exposure.name}_o001_crf.fits")
        assert 0 <= aligned.get("tweakreg_offset_arcsec", 0) < 5 * POINTING_ERROR
        assert ("tweakreg_offset_arcsec" in aligned) == (number > 1)
    combined = next(made_by_flows.glob("*_t001_*_i2d.fits")).name
    assert 0 < statistics(combined)["tweakreg_scatter_arcsec"] < nircam.PIXEL_SCALE / 5
    spectrum = next(made_by_flows.glob("*_x1d.fits")).name
    assert statistics(spectrum)["spectrum_snr"] > 10


def _names(folder: Path) -> list[str]:
    beside = (".json", ".log")  # records and logs, which plain ``.call`` does not make
    return sorted(path.name for path in folder.iterdir() if path.suffix not in beside)
