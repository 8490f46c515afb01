"""What becomes of an association of which members failed or are degraded."""

import json

import pytest

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calibrate.missing import Lacking
from flows.calwebb.mission import JWST
from stpipe_prefect.execution.events import PipelineProgress
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.provenance.record import dropped_members

PIPELINE = "lantern.pipelines.CalibratePipeline"
FINE = Result("fine", Ended(Outcome.COMPLETED))


def failed(name):
    return Result(name, Ended(Outcome.FAILED, "no light", 1))


def degraded(name):
    done = PipelineProgress(PIPELINE, Outcome.DEGRADED, degraded=("clip: no stars",))
    return Result(name, Ended(Outcome.COMPLETED), (done,))


@pytest.fixture
def decided(tmp_path):
    """Decide on an association of members of such kinds, with such a result of the second."""

    def decide(missing, kinds, result, then=None):
        makers = [
            Job(tmp_path / f"x{number}_raw.row", (PIPELINE,), makes=(frozenset({f"x{number}"}),))
            for number in range(len(kinds))
        ]
        members = [
            {"expname": f"x{number}_cal.row", "exptype": kind} for number, kind in enumerate(kinds)
        ]
        path = tmp_path / "all_asn.json"
        path.write_text(json.dumps({"products": [{"name": "all", "members": members}]}))
        reads = {f"x{number}": f"x{number}_cal.row" for number in range(len(kinds))}
        needs = frozenset(job.input for job in makers)
        combine = Job(path, (PIPELINE,), reads=(reads,), makes=(frozenset({"all"}),), needs=needs)
        of_it = {"reads": ({"all": "all_cal.row"},), "needs": frozenset({path})}
        last = Job(tmp_path / "last_asn.json", (PIPELINE,), **of_it)
        campaign = Campaign(JWST, [*makers, combine, last], tmp_path, missing=missing)
        good = Ended(Outcome.COMPLETED)
        campaign.results += [
            result(job.input.name) if number == 1 else Result(job.input.name, good)
            for number, job in enumerate(makers)
        ]
        lacking = Lacking(campaign)
        first = lacking.decide(path.name)
        campaign.results.append(first or Result(path.name, good))
        last.input.write_text(
            json.dumps({"products": [{"name": "l", "members": [{"expname": "all_cal.row"}]}]})
        )
        return first, lacking.decide(last.input.name), path

    return decide


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (failed, "x1_raw.row: no light"),
        (degraded, f"degraded: x1_raw.row: {PIPELINE}, clip: no stars"),
    ],
)
def test_association_says_what_was_dropped_and_why(decided, mission, result, why):
    first, second, path = decided("drop", ["science", "science", "background"], result)
    assert first is None and second is None
    table = json.loads(path.read_text())
    names = [member["expname"] for member in table["products"][0]["members"]]
    assert names == ["x0_cal.row", "x2_cal.row"]
    assert table["dropped"] == [{"expname": "x1_cal.row", "exptype": "science", "reason": why}]
    assert dropped_members(str(path)) == [
        {"caveat": "dropped member", "input": "x1_cal.row", "reason": why}
    ]


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [
        (["background", "science"], "no science member is left"),
        (["science", "psf"], "no psf member is left"),
        (["science", "sourcecat"], "it cannot do without its sourcecat"),
    ],
)
def test_association_that_cannot_do_without_is_not_begun(decided, mission, kinds, problem):
    first, second, path = decided("drop", kinds, failed)
    said = "x1_cal.row (x1_raw.row: no light)"
    assert first.failure == f"all_asn.json: not started: {problem}: {said}"
    assert second.failure.endswith(": all_cal.row (x1_raw.row: no light)")
    assert "dropped" not in json.loads(path.read_text())


def test_association_waits_and_so_does_what_needs_it(decided, mission):
    first, second, path = decided("wait", ["science", "science"], degraded)
    assert (first.outcome, first.failure, second.outcome) == (Outcome.SKIPPED, "", Outcome.SKIPPED)
    (line,) = second.caveats
    assert "left for a later run: all_cal.row (degraded: x1_raw.row: " in line
    assert "dropped" not in json.loads(path.read_text())


@pytest.mark.parametrize("missing", ["drop", "wait"])
def test_with_all_members_it_begins(decided, mission, missing):
    first, second, _ = decided(
        missing, ["science", "science"], lambda name: Result(name, FINE.ended)
    )
    assert (first, second) == (None, None)
