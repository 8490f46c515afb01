"""A run goes on where an earlier one stopped, and makes the same."""

import numpy as np
import pytest
from astropy.io import fits

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.checkpoints import Pending, revealed
from stpipe_prefect.products.checkpoints import checkpoints

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path_factory.mktemp("checkpoints")))
        yield


@pytest.fixture(scope="module")
def first(run_flow, small):
    return run_flow("calwebb_detector1", small.programme.exposures[0], checkpoint=["jump"])


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
    exposure = small.programme.exposures[0]
    changed = {"steps": {"ramp_fit": {"algorithm": "LIKELY"}}, "save_calibrated_ramp": False}
    resumed = run_flow("calwebb_detector1", exposure, checkpoint=["jump"], **changed)
    assert states(resumed)["dq_init"] == states(resumed)["jump"] == "Cached"
    assert states(resumed)["ramp_fit"] == "Completed"
    assert_same_arrays(resumed, run_flow("calwebb_detector1", exposure, **changed))


def test_earlier_step_with_another_parameter_runs_all(first, run_flow, small):
    changed = {"steps": {"jump": {"rejection_threshold": 9.0}}}
    run = run_flow(
        "calwebb_detector1", small.programme.exposures[0], checkpoint=["jump"], **changed
    )
    assert states(run)["dq_init"] == "Completed"


def test_damaged_checkpoint_is_none(first, run_flow, small):
    for kept in checkpoints():
        for path in kept.folder.glob("*.fits"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    run = run_flow("calwebb_detector1", small.programme.exposures[0], checkpoint=["jump"])
    assert states(run)["dq_init"] == "Completed"
    assert_same_arrays(run, first)


def test_unknown_step(run_flow, small):
    run = run_flow("calwebb_detector1", small.programme.exposures[0], checkpoint=["jmp"])
    with pytest.raises(UsageError, match=r"no step 'jmp' .*\(did you mean 'jump'\?\)"):
        run.state.result()


def test_whoever_looks_at_what_is_pending_gets_it():
    computed = []

    def compute():
        computed.append(1)
        return [1, 2]

    pending = Pending(compute)
    assert type(pending) is Pending and computed == []
    assert isinstance(pending, list) and list(pending) == [1, 2] and len(pending) == 2
    assert revealed(pending) == [1, 2] and computed == [1]
