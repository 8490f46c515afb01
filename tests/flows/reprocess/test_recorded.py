"""Classes of one's own in an archive: what is stale is made again with those that made it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.calwebb.mission import JWST
from flows.reprocess.recorded import Recorded
from flows.reprocess.survey import survey
from stpipe_prefect.provenance.record import read_record
from stpipe_prefect.remote.scratch import planning

# jwst has stpipe ask crds, which means to change
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock' is deprecated:DeprecationWarning")

ROOT = "jw01234001001_02101_00001_nrcb1"
EARLIER, LATER = "jwst_0001.pmap", "jwst_0002.pmap"

CODE = """
import numpy as np
from jwst.pipeline import Image2Pipeline
from jwst.stpipe import Step


class OneOverF(Step):
    spec = "factor = float(default=1.0)"

    def process(self, data):
        model = self.prepare_output(data, make_copy=True)
        model.data = model.data - self.factor * np.nanmedian(model.data, axis=-1, keepdims=True)
        return model


class Image2(Image2Pipeline):
    class_alias = "my_image2"
    spec = ""


def pedestal(model, level: float = 0.0):
    model.data = model.data + level
    return model
"""

CAMPAIGN = f"""
inputs = ["*_rate.fits"]
output = "."
context = "{EARLIER}"

[calwebb_image2.steps]
resample.skip = true

[[insert]]
before = "calwebb_image2"
step = "ownclasses.OneOverF"
parameters = {{ factor = 0.5 }}

[[insert]]
pipeline = "calwebb_image2"
after = "flat_field"
step = "ownclasses.pedestal"
name = "level"
parameters = {{ level = 2.5 }}

[replace]
calwebb_image2 = "ownclasses.Image2"
"""


def run(module, folder, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def campaign(calibrated, environment, tmp_path_factory):
    """An archive of a rate that went through classes of its own; not to be written into."""
    folder = tmp_path_factory.mktemp("own") / "archive"
    folder.mkdir()
    shutil.copy(calibrated.image.with_name(f"{ROOT}_rate.fits"), folder)
    (folder / "ownclasses.py").write_text(CODE)
    (folder / "campaign.toml").write_text(CAMPAIGN)
    done = run("flows.calwebb", folder, environment, "campaign.toml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def archive(campaign, tmp_path):
    return shutil.copytree(campaign, tmp_path / "archive")


@pytest.fixture
def own_classes(archive, monkeypatch):
    """The file with the classes, which can be imported by name."""
    monkeypatch.syspath_prepend(str(archive))
    monkeypatch.delitem(sys.modules, "ownclasses", raising=False)
    return archive / "ownclasses.py"


def records(folder):
    found = {
        path.name.split(".")[1]: read_record(path) for path in folder.glob("*.provenance.json")
    }
    return found["OneOverF"], found["my_image2"]


@pytest.mark.filterwarnings("default::Warning")  # jwst's own
def test_another_context_makes_products_again_with_the_same_classes(archive, environment):
    def reprocess():
        done = run("flows.reprocess", archive, environment, ".", "--context", LATER)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    before = [record.path.stat().st_mtime_ns for record in records(archive)]
    *lines, last = reprocess()
    assert last == "1 of 1 stale under jwst_0002.pmap: 1 done, 0 failed, 0 left"
    assert {line.partition("(newer")[0].strip() for line in lines if "(newer" in line} == {
        "1  parameter resample.skip True → False (campaign.toml → step code)",
        "1  reference flat 0001 → 0002",
    }

    step, pipeline = records(archive)
    assert step.path.stat().st_mtime_ns == before[0]
    assert pipeline.path.stat().st_mtime_ns > before[1]
    made_from = pipeline.dependencies
    assert (made_from.pipeline, made_from.context) == ("ownclasses.Image2", LATER)
    assert [Path(file.path).name for file in made_from.inputs] == [f"{ROOT}_oneoverf.fits"]
    assert made_from.insertions == [
        {"step": "level", "class": "ownclasses.pedestal", "after": "flat_field"}
    ]
    (level,) = (row for row in made_from.parameters if row["parameter"] == "level")
    assert (level["value"], level["source"]) == (2.5, "campaign.toml, insert")
    assert not [*archive.glob(f"{ROOT}_rate.calwebb_image2.*")]
    assert reprocess() == ["0 of 1 stale under jwst_0002.pmap: 0 done, 0 failed, 0 left"]


@pytest.mark.parametrize(
    ("old", "new", "record", "problem"),
    [
        ("class OneOverF", "class Gone", "rate.OneOverF", "'ownclasses' has no class 'OneOverF'"),
        ("class Image2", "class Gone", "oneoverf.my_image2", "has no class 'Image2'"),
        ("def pedestal", "def gone", "oneoverf.my_image2", "insert after flat_field: 'ownclasses'"),
        (
            "level: float",
            "depth: float",
            "oneoverf.my_image2",
            "there is no parameter 'steps.level.level'",
        ),
        ("import numpy", "import numpyy", "rate.OneOverF", "Cannot import 'ownclasses.OneOverF'"),
        ("def pedestal", "def (", "rate.OneOverF", "SyntaxError"),
    ],
)
def test_what_cannot_run_is_refused_by_record_and_class(
    archive, own_classes, crds, old, new, record, problem
):
    own_classes.write_text(CODE.replace(old, new))
    (item,) = survey([archive], EARLIER)
    assert item.error.startswith(f"{archive}/{ROOT}_{record}.provenance.json: ")
    assert problem in item.error and "\n" not in item.error
    assert item.error.endswith("in another way by python -m flows.calwebb --overwrite")


def test_deployment_runs_them_only_where_its_settings_allow(
    archive, own_classes, crds, monkeypatch
):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "1")
    (item,) = survey([archive], EARLIER)
    assert "ownclasses.OneOverF is not allowed in a deployment" in item.error
    monkeypatch.setenv("STPIPE_PREFECT_ALLOW_CLASSES", "true")
    (item,) = survey([archive], EARLIER)
    assert item.error == ""


def again(path, name, **changes):
    """Write what a record says, but for some of it, under another name."""
    content = json.loads(path.read_text())
    insert = {"step": "", "parameter": "suffix", "source": "campaign.toml, insert"}
    if "suffix" in changes:
        others = [row for row in content["parameters"] if row["parameter"] != "suffix"]
        content["parameters"] = [*others, insert | {"value": changes.pop("suffix")}]
    content["inputs"][0]["path"] = str(path.with_name(f"{name.partition('.')[0]}.fits"))
    found = path.with_name(f"{name}.provenance.json")
    found.write_text(json.dumps(content | changes))
    return found


def test_without_the_step_where_the_pipeline_ran_without_it_since(archive, own_classes):
    job = JWST.job_for(archive / f"{ROOT}_rate.fits")
    _, with_step = records(archive)
    stock = {"pipeline": "jwst.pipeline.Image2Pipeline", "insertions": []}
    without = again(with_step.path, f"{ROOT}_rate.calwebb_image2", **stock)
    (adapted,) = Recorded(JWST).adapted([job])
    assert (adapted.pipelines, adapted.inserts) == (("calwebb_image2",), {})
    os.utime(without, (0, 0))
    (adapted,) = Recorded(JWST).adapted([job])
    assert adapted.pipelines == ("ownclasses.OneOverF", "ownclasses.Image2")


def test_steps_after_one_another_are_in_the_order_in_which_they_ran(archive, own_classes, small):
    own_classes.write_text(f"{CODE}\n\nclass Wisps(OneOverF):\n    pass\n")
    uncal = shutil.copy(small.program.exposures[0], archive / f"{ROOT}_uncal.fits")
    step, pipeline = records(archive)
    wisps = {"pipeline": "ownclasses.Wisps", "suffix": "wisps"}
    again(step.path, f"{ROOT}_oneoverf.Wisps", **wisps)
    again(pipeline.path, f"{ROOT}_wisps.my_image2")
    pipeline.path.unlink()
    (job,) = Recorded(JWST).adapted([JWST.job_for(uncal)])
    own = ("ownclasses.OneOverF", "ownclasses.Wisps", "ownclasses.Image2")
    assert job.pipelines == ("calwebb_detector1", *own)
    assert [*job.reads[-1].values()] == [f"{ROOT}_wisps.fits"]


def test_association_of_what_a_step_makes_comes_after_it(archive, own_classes, crds):
    members = [{"expname": f"{ROOT}_oneoverf.fits", "exptype": "science"}]
    table = {"asn_type": "image2", "products": [{"name": ROOT, "members": members}]}
    (archive / "x_image2_00001_asn.json").write_text(json.dumps(table))
    exposure, association = survey([archive], EARLIER)
    assert exposure.job.pipelines == ("ownclasses.OneOverF",)
    assert association.job.needs == {exposure.input}


def test_records_in_a_store_name_them_as_well(archive, own_classes, crds, store, monkeypatch):
    monkeypatch.setenv("STPIPE_SCRATCH", str(archive / "scratch"))
    members = [{"expname": f"{ROOT}_oneoverf.fits", "exptype": "science"}]
    table = {"asn_type": "image2", "products": [{"name": ROOT, "members": members}]}
    (archive / "x_image2_00001_asn.json").write_text(json.dumps(table))
    store.put(*archive.glob(f"{ROOT}*"), *archive.glob("*_asn.json"), folder="own")
    with planning():
        exposure, association = survey(["s3://archive/own"], EARLIER)
        assert (exposure.error, association.error) == ("", "")
        assert exposure.job.pipelines == ("ownclasses.OneOverF",)
        assert association.job.needs == {exposure.input}


def test_exposures_may_have_steps_of_one_name_at_different_places(archive, own_classes, crds):
    other = ROOT.replace("_00001_", "_00002_")
    shutil.copy(archive / f"{ROOT}_rate.fits", archive / f"{other}_rate.fits")
    step, pipeline = records(archive)
    again(step.path, f"{other}_rate.OneOverF")
    moved = [{"step": "level", "class": "ownclasses.pedestal", "after": "photom"}]
    again(pipeline.path, f"{other}_oneoverf.my_image2", insertions=moved)
    items = survey([archive], EARLIER)
    assert [item.error for item in items] == ["", ""]
    placed = [item.job.inserts["ownclasses.Image2"][0].place for item in items]
    assert placed == ["after flat_field", "after photom"]
