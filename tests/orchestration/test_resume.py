"""A run goes on where an earlier one stopped, and makes the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lantern.pipelines import CalibratePipeline
from lantern.steps import FlatStep
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow as carry_out

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.resume import Pending, revealed
from stpipe_prefect.provenance.checkpoints import checkpoints
from stpipe_prefect.provenance.record import find_record


class DullFlatStep(FlatStep):
    """Cannot do its work."""

    def process(self, data):
        row = self.open_model(data)
        row.meta.cal_step.flat = "FAILED"
        return row


class DullPipeline(CalibratePipeline):
    """Has a step that cannot do its work."""

    class_alias = "lantern_dull"
    step_defs = {**CalibratePipeline.step_defs, "flat": DullFlatStep}


pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path_factory.mktemp("checkpoints")))
        yield


@pytest.fixture(scope="module")
def first(run_flow, small):
    return run_flow("calwebb_detector1", small.program.exposures[0], checkpoint=["jump"])


def states(run):
    return {name: task.state_name for name, task in run.tasks().items()}


def assert_same_arrays(one, other):
    names = sorted(path.name for path in one.products.glob("*.fits"))
    assert names == sorted(path.name for path in other.products.glob("*.fits")) != []
    for name in names:
        with fits.open(one.products / name) as mine, fits.open(other.products / name) as yours:
            assert [hdu.name for hdu in mine] == [hdu.name for hdu in yours]
            for hdu in mine:
                if hdu.data is not None and hdu.name != "ASDF":
                    assert np.array_equal(hdu.data, yours[hdu.name].data, equal_nan=True)


def test_later_step_with_another_parameter(first, run_flow, small):
    exposure = small.program.exposures[0]
    changed = {"steps": {"ramp_fit": {"algorithm": "LIKELY"}}, "save_calibrated_ramp": False}
    resumed = run_flow("calwebb_detector1", exposure, checkpoint=["jump"], **changed)
    assert states(resumed)["dq_init"] == states(resumed)["jump"] == "Cached"
    assert states(resumed)["ramp_fit"] == "Completed"
    alone = run_flow("calwebb_detector1", exposure, **changed)
    assert_same_arrays(resumed, alone)
    records = [find_record(next(run.products.glob("*_rate.fits"))) for run in (resumed, alone)]
    assert records[0].statistics == records[1].statistics != {}


def test_checkpoint_before_a_step_is_of_what_it_takes(run_flow, small):
    exposure = small.program.exposures[0]
    before = {"checkpoint": ["before ramp_fit", "before gain_scale"]}
    kept = {each.folder for each in checkpoints()}
    run_flow("calwebb_detector1", exposure, **before)
    (new,) = (each for each in checkpoints() if each.folder not in kept)
    assert new.steps[-1] != "ramp_fit" and "jump" in new.steps
    changed = {"steps": {"ramp_fit": {"algorithm": "LIKELY"}}}
    resumed = run_flow("calwebb_detector1", exposure, **before, **changed)
    assert states(resumed)[new.steps[-1]] == "Cached"
    assert states(resumed)["ramp_fit"] == "Completed"


def test_earlier_step_with_another_parameter_runs_all(first, run_flow, small):
    changed = {"steps": {"jump": {"rejection_threshold": 9.0}}}
    run = run_flow("calwebb_detector1", small.program.exposures[0], checkpoint=["jump"], **changed)
    assert states(run)["dq_init"] == "Completed"


def test_damaged_checkpoint_is_none(first, run_flow, small):
    for kept in checkpoints():
        for path in kept.folder.glob("*.fits"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    run = run_flow("calwebb_detector1", small.program.exposures[0], checkpoint=["jump"])
    assert states(run)["dq_init"] == "Completed"
    assert_same_arrays(run, first)


@pytest.mark.usefixtures("mission", "prefect_server")
def test_run_that_goes_on_does_not_pass_a_step_that_could_not_do_its_work():
    for low in (1.0, 2.0):
        steps = {"clip": {"low": low}}
        given = {"output_dir": "out", "checkpoint": ["all"], "steps": steps}
        state = as_flow(DullPipeline)("one_raw.row", **given, return_state=True)
        assert (state.name, state.message) == ("Degraded", "flat: it did not say why")
    assert [kept.steps for kept in checkpoints() if "lantern_dull" in kept.run] == [("dark",)]
    log = Path("out/one_raw.lantern_dull.log").read_text()
    assert log.count("No checkpoint after ") == 1
    assert "after flat and later steps: flat could not do its work" in log


def test_unknown_step(run_flow, small):
    run = run_flow("calwebb_detector1", small.program.exposures[0], checkpoint=["jmp"])
    with pytest.raises(UsageError, match=r"no step 'jmp' .*\(did you mean 'jump'\?\)"):
        run.state.result()


def test_whoever_looks_at_what_is_pending_gets_it():
    computed = []

    def compute():
        computed.append(1)
        return [1, 2]

    pending = Pending(compute)
    assert issubclass(type(pending), Pending) and computed == []
    assert isinstance(pending, list) and list(pending) == [1, 2] and len(pending) == 2
    assert revealed(pending) == [1, 2] and computed == [1]


def test_retry_from_the_ui_goes_on(prefect_server, crds_path, small, tmp_path, monkeypatch):
    """A run of a deployment, carried out as a worker does, and put back as Prefect's UI does."""
    crds = shutil.copytree(crds_path, tmp_path / "crds")
    gain = crds / "references/jwst/nircam/jwst_nircam_gain_0001.fits"  # first asked for by jump
    monkeypatch.setenv("CRDS_PATH", str(crds))
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", str(small.program.exposures[0].parent))
    monkeypatch.setenv("STPIPE_PREFECT_OUTPUT_ROOTS", str(tmp_path))
    flow = as_flow("calwebb_detector1")
    parameters = {
        "input": str(small.program.exposures[0]),
        "output_dir": str(tmp_path / "out"),
        "checkpoint": ["dark_current"],
    }
    with get_client(sync_client=True) as client:
        deployment = flow.to_deployment("retried").apply()
        created = client.create_flow_run_from_deployment(deployment, parameters=parameters)
        gain.rename(tmp_path / "hidden")
        gain.write_bytes(b"damaged")  # an absent one is missed before the first step
        state = carry_out(flow, flow_run=created, return_type="state")
        assert state.is_failed() and gain.name in state.message
        (tmp_path / "hidden").rename(gain)
        client._client.post(
            f"/flow_runs/{created.id}/set_state",
            json={"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}},
        ).raise_for_status()
        retried = client.read_flow_run(created.id)
        state = carry_out(flow, flow_run=retried, return_type="state")
        assert state.is_completed(), state.message
        assert client.read_flow_run(created.id).run_count == 2
    record = find_record(next((tmp_path / "out").glob("*_rate.fits")))
    assert record.run["flow_run"] == str(created.id)
    outcomes = {row["step"]: row["outcome"] for row in record.steps}
    assert outcomes["dq_init"] == outcomes["dark_current"] == "Cached"
    assert outcomes["jump"] == outcomes["ramp_fit"] == "Completed"
