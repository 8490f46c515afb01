"""Classes of one's own in a campaign file: between two pipelines, and in the place of one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from flows.calibrate.between import OwnClasses
from flows.calibrate.campaign_reading import read_campaign_file
from flows.calibrate.jobs import plan_jobs
from flows.calwebb.mission import JWST
from flows.calwebb.stages import job_for
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.provenance.record import find_record

CODE = """
import numpy as np
from jwst.pipeline import Image2Pipeline

from jwst.stpipe import Step

import stpipe_prefect


class OneOverF(Step):
    spec = "factor = float(default=1.0)"

    def process(self, data):
        model = self.prepare_output(data, make_copy=True)
        model.data = model.data - self.factor * np.median(model.data, axis=-1, keepdims=True)
        return model


class Image2(Image2Pipeline):
    spec = ""

    def process(self, data):
        self.log.info("Image2 of my own")
        return super().process(data)


class Closed(stpipe_prefect.Step):
    pass


def function(model):
    return model
"""

CAMPAIGN = """
inputs = ["*_uncal.fits"]
output = "products"

[calwebb_image2.steps]
resample.skip = true

[[insert]]
after = "calwebb_detector1"
step = "betweens.OneOverF"
parameters = { factor = 0.5 }

[replace]
calwebb_image2 = "betweens.Image2"
"""


@pytest.fixture
def folder(tmp_path, uncal):
    (tmp_path / "betweens.py").write_text(CODE)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    shutil.copy(uncal, tmp_path)
    return tmp_path


def calwebb(folder, environment, *options):
    return subprocess.run(
        [sys.executable, "-m", "flows.calwebb", "campaign.toml", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.filterwarnings("default::Warning")  # jwst's own
def test_its_product_is_what_the_next_pipeline_reads(folder, environment, uncal):
    run = calwebb(folder, environment)
    assert run.returncode == 0, run.stderr
    root, products = uncal.stem.removesuffix("_uncal"), folder / "products"
    made = {path.name for path in products.glob("*.fits")}
    assert made >= {f"{root}_{each}.fits" for each in ("rate", "oneoverf", "cal")}
    assert not any("oneoverf_" in name for name in made)
    with (
        fits.open(products / f"{root}_rate.fits") as before,
        fits.open(products / f"{root}_oneoverf.fits") as after,
    ):
        rows = np.median(before["SCI"].data, axis=-1, keepdims=True)
        np.testing.assert_array_equal(after["SCI"].data, before["SCI"].data - 0.5 * rows)
    record = find_record(products / f"{root}_cal.fits")
    assert record.dependencies.pipeline == "betweens.Image2"
    (file,) = record.dependencies.inputs
    assert Path(file.path).name == f"{root}_oneoverf.fits"
    plan = calwebb(folder, environment, "--plan", "--json")
    assert plan.stderr == ""  # where crds has no parameter file for a step, that is no error
    plans = json.loads(plan.stdout)
    pipelines = ["calwebb_detector1", "OneOverF", "calwebb_image2"]
    assert [plan["pipeline"] for plan in plans] == pipelines
    assert all(plan["up_to_date"] for plan in plans)
    code = (folder / "betweens.py").read_text()
    (folder / "betweens.py").write_text(code.replace("keepdims=True)", "keepdims=True) + 0.0"))
    plans = json.loads(calwebb(folder, environment, "--plan", "--json").stdout)
    assert [plan["up_to_date"] for plan in plans] == [True, False, False]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("betweens.OneOverF", "betweens.OneOverG", "insert[1].step: 'betweens' has no class"),
        ("betweens.OneOverF", "betweens.function", "insert[1].step: 'betweens.function' is not a"),
        ("betweens.OneOverF", "betweens.Image2", "insert[1].step: betweens.Image2 is a pipeline"),
        ("betweens.OneOverF", "betweens.Closed", "that of the mission, jwst.stpipe.Step"),
        ("betweens.OneOverF", "lantern.steps.ClipStep", "that of the mission, jwst.stpipe.Step"),
        ("factor = 0.5", "factors = 0.5", "there is no parameter 'factors'"),
        ("factor = 0.5", 'suffix = "rate"', "insert[1].parameters.suffix: 'rate' is that of other"),
        ('after = "calwebb_detector1"', 'after = "calwebb_spec2"', "no input goes through"),
        ("betweens.Image2", "betweens.Image3", "replace.calwebb_image2: 'betweens' has no class"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(folder, monkeypatch, uncal, old, new, problem):
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "betweens", raising=False)
    file = folder / "campaign.toml"
    file.write_text(file.read_text().replace(old, new, 1 if "Image2" not in old else -1))
    with pytest.raises(UsageError) as raised:
        OwnClasses(read_campaign_file(file, JWST), JWST, folder).adapted([job_for(uncal)])
    assert problem in str(raised.value)
    assert str(raised.value).startswith("campaign.toml: ")


def test_an_association_names_what_the_step_makes(folder, monkeypatch, uncal, association):
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "betweens", raising=False)
    own = OwnClasses(read_campaign_file(folder / "campaign.toml", JWST), JWST, folder)
    root = uncal.stem.removesuffix("_uncal")
    files = [uncal, association(f"{root}_oneoverf.fits", asn_type="image2")]
    (exposure, combined), _ = plan_jobs(files, JWST, adapt=own.adapted)
    assert exposure.pipelines == ("calwebb_detector1", "betweens.OneOverF")
    assert (combined.pipelines, combined.needs) == (("betweens.Image2",), {uncal})
    files = [uncal, association(f"{root}_rate.fits", asn_type="image2")]
    with pytest.raises(UsageError, match=f"an inserted step makes {root}_oneoverf.fits"):
        plan_jobs(files, JWST, adapt=own.adapted)
