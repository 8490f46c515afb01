"""A campaign file makes what a script of plain ``.call`` does that follows the same rules."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from flows.sample import contexts
from flows.sample.crds_cache import write_cache
from flows.sample.references import nircam, parameters
from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.slow

DETECTOR = "META.INSTRUMENT.DETECTOR"

CAMPAIGN = """
observatory = "jwst"
inputs = ["raw/"]
output = "products"

[exclude]
"*_00005_*" = "guide star lost"

[calwebb_detector1.steps.jump]
rejection_threshold = 5.0

[[for]]
when = { filter = "F150W" }
calwebb_detector1.steps.jump.rejection_threshold = 6.0

[[for]]
when = { detector = "NRCB2" }
calwebb_image2.steps.flat_field.skip = true

[[insert]]
pipeline = "calwebb_detector1"
before = "ramp_fit"
step = "cleaning.one_over_f"
when = { detector = "NRCB1" }
parameters = { factor = 0.5 }
"""

CLEANING = """
import numpy as np

def one_over_f(model, factor: float = 1.0):
    model.data = model.data - factor * np.median(model.data, axis=-1, keepdims=True)
    return model

def half_of_one_over_f(model):
    return one_over_f(model, 0.5)
"""

BY_HAND = """
from pathlib import Path
from astropy.io import fits
from jwst.pipeline import Detector1Pipeline, Image2Pipeline

for path in sorted(Path("raw").glob("*_uncal.fits")):
    if "_00005_" in path.name:
        continue
    header = fits.getheader(path)
    one, two = {"jump": {"rejection_threshold": 5.0}}, {}
    if header["FILTER"] == "F150W":
        one["jump"]["rejection_threshold"] = 6.0
    if header["DETECTOR"] == "NRCB2":
        two["flat_field"] = {"skip": True}
    if header["DETECTOR"] == "NRCB1":
        one["ramp_fit"] = {"pre_hooks": ["cleaning.half_of_one_over_f"]}
    rate = "by_hand/" + path.name.replace("_uncal", "_rate")
    Detector1Pipeline.call(str(path), steps=one, save_results=True, output_dir="by_hand")
    Image2Pipeline.call(rate, steps=two, save_results=True, output_dir="by_hand")
"""


@pytest.fixture(scope="module")
def environment(user, tmp_path_factory):
    """The variables of a user whose references serve two detectors."""
    made = [*nircam.references(64, 5), *parameters.references()]
    both = [
        replace(each, match=each.match | {DETECTOR: "NRCB1|NRCB2"})
        if DETECTOR in each.match
        else each
        for each in made
    ]
    crds = write_cache(tmp_path_factory.mktemp("crds"), contexts.JWST, contexts.CONTEXTS, both)
    return user | {"CRDS_PATH": str(crds)}


@pytest.fixture
def folder(tmp_path, small):
    """Two filters with two detectors each, and an exposure that is excluded."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "by_hand").mkdir()
    kinds = [(each, band) for each in ("NRCB1", "NRCB2") for band in ("F200W", "F150W")]
    for number, (detector, band) in enumerate([*kinds, kinds[0]], start=1):
        with fits.open(small.program.exposures[number % 2]) as hdus:
            hdus[0].header.update(DETECTOR=detector, FILTER=band)
            name = f"jw01234001001_02101_{number:05}_{detector.lower()}_uncal.fits"
            hdus.writeto(tmp_path / "raw" / name)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    (tmp_path / "cleaning.py").write_text(CLEANING)
    return tmp_path


def run(folder, environment, *command):
    path = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_campaign_makes_what_a_script_of_calls_makes(folder, environment):
    run(folder, environment, "-c", BY_HAND)
    run(folder, environment, "-m", "flows.calwebb", "campaign.toml")
    names = {path.name for path in (folder / "by_hand").glob("*.fits")}
    assert names == {path.name for path in (folder / "products").glob("*.fits")}
    assert len([name for name in names if name.endswith("_cal.fits")]) == 4
    for name in names:
        with (
            fits.open(folder / "by_hand" / name) as ours,
            fits.open(folder / "products" / name) as theirs,
        ):
            for hdu in ours[1:]:
                if hdu.name not in ("ASDF", "HDRTAB"):
                    np.testing.assert_array_equal(
                        hdu.data, theirs[hdu.name, hdu.ver].data, err_msg=f"{name} {hdu.name}"
                    )
    for path in (folder / "products").glob("*_rate.fits"):
        inserted = [each["class"] for each in find_record(path).dependencies.insertions]
        assert inserted == (["cleaning.one_over_f"] if "nrcb1" in path.name else [])
    plans = json.loads(
        run(folder, environment, "-m", "flows.calwebb", "campaign.toml", "--plan", "--json")
    )
    assert [plan["up_to_date"] for plan in plans if not plan.get("excluded")] == [True] * 8
