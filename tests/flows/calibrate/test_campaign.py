"""Planning a campaign: what is wrong with one input is said of that one."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import lantern
import pytest
from crds.core import utils

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import Record, record_path, run_name

PIPELINE = "lantern.pipelines.CalibratePipeline"


def plans(jobs, folder, *, check_files=False, **options):
    campaign = Campaign(JWST, jobs, folder, **options)
    return [plan for job in campaign.planned(check_files=check_files) for plan in job.plans]


@pytest.fixture
def recorded(mission):
    """Two exposures with records of earlier runs; the second was damaged since."""
    files = [mission / "one_raw.row", mission / "two_raw.row"]
    files[1].write_bytes(files[0].read_bytes())
    for file in files:
        content = FileContent.of(file)
        made_from = Dependencies(PIPELINE, "jwst", "jwst_0001.pmap", "", "", [content], [], [], {})
        path = record_path(mission, run_name(file.name, "lantern_calibrate"))
        run = {"pipeline": "lantern_calibrate", "started": "2024-01-01"}
        Record(path, made_from, run, [], []).write(by_way_of=mission)
    files[1].write_text("{" + files[1].read_text()[1:].replace("NRCB1", "\\q"))
    return files


@pytest.mark.parametrize("overwrite", [False, True])
def test_input_that_became_unreadable_is_refused_and_the_others_are_planned(recorded, overwrite):
    jobs = [Job(Path(file), (PIPELINE,)) for file in recorded]
    one, two = plans(jobs, recorded[0].parent, overwrite=overwrite)
    assert one.reasons and not one.refusal
    assert two.refusal.startswith("two_raw.row cannot be read as an exposure: Invalid \\escape")


def test_run_without_its_references_is_refused(mission, lantern_cache, monkeypatch):
    cache = copytree(lantern_cache, mission / "crds")
    monkeypatch.setenv("CRDS_PATH", str(cache))
    utils.clear_function_caches()
    jobs = [Job(mission / "one_raw.row", (PIPELINE,))]
    (plan,) = plans(jobs, mission, check_files=True)
    assert str(plan) == "will run: no product"
    (cache / "references/jwst/nircam/jwst_nircam_flat_0001.json").unlink()
    (plan,) = plans(jobs, mission, check_files=True)
    assert plan.refusal.startswith("flat reference jwst_nircam_flat_0001.json (jwst_0001.pmap) for")
    skip = {"steps": {"flat": {"skip": "true"}}}
    (plan,) = plans(jobs, mission, check_files=True, given=skip)
    assert str(plan) == "will run: no product"


PLAN = """
import sys
from pathlib import Path
from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calwebb.mission import JWST

sys.path.append(sys.argv[1])
exposure = Path(sys.argv[2])
jobs = [Job(exposure, ("lantern.pipelines.CalibratePipeline",))]
(job,) = Campaign(JWST, jobs, exposure.parent).planned(check_files=True)
print(job.plans[0], [name for name in ("prefect", "jwst.pipeline") if name in sys.modules])
"""


def test_planning_needs_no_prefect(mission, lantern_cache, run_python):
    folder = Path(lantern.__file__).parents[1]
    said = run_python(PLAN, folder, mission / "one_raw.row", CRDS_PATH=lantern_cache)
    assert said == "will run: no product []\n"


def test_association_without_its_members_is_refused_unless_they_are_made_before(mission):
    members = [{"expname": "one_cal.row", "exptype": "science"}]
    association = mission / "both_asn.json"
    association.write_text(json.dumps({"products": [{"name": "both", "members": members}]}))
    jobs = [
        Job(mission / "one_raw.row", (PIPELINE,), makes=(frozenset({"one_cal"}),)),
        Job(
            association,
            (PIPELINE,),
            reads=({"one_cal": "one_cal.row"},),
            needs=frozenset({mission / "one_raw.row"}),
        ),
    ]
    *_, alone = plans([replace(jobs[1], needs=frozenset())], mission, check_files=True)
    assert alone.refusal.startswith(f"{association}: its member one_cal.row is neither beside it")
    *_, after = plans(jobs, mission, check_files=True)
    assert str(after) == "will run: no product"


def test_product_of_another_job_that_never_ran_counts_as_an_input_that_changes(recorded):
    one, two = recorded
    makes, reads = frozenset({"one_raw"}), {"one_raw": one.name}
    other = Job(two.with_name("new_raw.row"), (PIPELINE,), reads=({},), makes=(makes,))
    other.input.write_bytes(one.read_bytes())
    jobs = [other, Job(one, (PIPELINE,), reads=(reads,), makes=(frozenset({"one_cal"}),))]
    first, second = plans(jobs, one.parent)
    assert first.reasons == ("no product",)
    assert second.reasons[-1] == "input one_raw.row will be remade"
