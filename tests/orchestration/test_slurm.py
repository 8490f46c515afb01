"""Exposures as jobs of a real SLURM: a controller and two nodes on this machine."""

import threading

import pytest
from machine import until
from misbehaving import FLOW
from prefect import flow
from slurm import slurm

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.execution.job_size import read_address
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.runners import task_runner
from stpipe_prefect.outcomes import Outcome

ADDRESS = "slurm://tests?mem=8G&time=10m"


@pytest.fixture(scope="module")
def cluster():
    with slurm() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def calibrate(prefect_server, fork_server, cluster, tmp_path):
    """Calibrate exposures that end as they are asked to; gives results by name."""

    def run(hows, memory_mb=400.0, address=ADDRESS):
        log = tmp_path / "log"
        exposures = [
            Exposure(name, FLOW, {"name": name, "how": how, "log": str(log)}, memory_mb=memory_mb)
            for name, how in hows.items()
        ]

        @flow(task_runner=task_runner(address, tmp_path / "100% products"))
        def campaign():
            return {result.name: result for result in calibrate_all(exposures)}

        results = campaign()
        assert [*(tmp_path / "100% products").iterdir()] == []
        return results, log.read_text().splitlines() if log.exists() else []

    return run


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("slurm://", "expected slurm://PARTITION"),
        ("slurm://tests/n1", "expected slurm://PARTITION"),
        ("slurm://tests?memory=1G", r"there is no 'memory' \(did you mean 'mem'\?\): expected"),
        ("slurm://tests?mem=lots", "'lots' is no memory: expected a number and M, G or T"),
        ("slurm://tests?time=2", "'2' is no time: expected a number and s, m, h or d"),
    ],
)
def test_address_that_is_none(address, problem):
    with pytest.raises(UsageError, match=rf"^--runner {address.replace('?', '.')}: {problem}"):
        read_address(address)


def test_size_of_a_job_goes_by_what_is_known_and_by_what_may_be():
    slurm = read_address("slurm://p?mem=4G&time=2h")
    known = slurm.size(1000.0, 600.0)
    assert 1200 < known.memory_mb < 2000 and 1200 <= known.seconds <= 1800
    assert slurm.size(1000.0, None).seconds == 7200
    assert read_address("slurm://p").size(1000.0, None).seconds == 3600
    assert slurm.larger(known, Outcome.OUT_OF_MEMORY).memory_mb == 2 * known.memory_mb
    assert slurm.larger(known, Outcome.TIMED_OUT).seconds == 2 * known.seconds
    assert slurm.larger(known, Outcome.CRASHED) is None
    most = slurm.size(100_000.0, None)
    assert round(most.memory_mb) == 4295
    assert slurm.larger(most, Outcome.OUT_OF_MEMORY) is None
    assert slurm.larger(most, Outcome.TIMED_OUT) is None


def test_partition_that_is_not_there(prefect_server, cluster, tmp_path):
    with pytest.raises(UsageError, match=r"no partition test \(did you mean 'tests'\?\); choose"):
        task_runner("slurm://test", tmp_path)


def test_jobs_of_a_controller_that_restarts_and_one_beyond_its_memory(cluster, calibrate):
    def restart():
        until(lambda: "RUNNING" in dict(cluster.jobs()), "a job that runs")
        cluster.restart_controller(2.0)

    restarting = threading.Thread(target=restart)
    restarting.start()
    results, log = calibrate({"small": "sleep4", "large": "hold900"}, memory_mb=200.0)
    restarting.join()
    assert {name: str(result.outcome) for name, result in results.items()} == {
        "small": "Completed",
        "large": "Completed",
    }
    assert results["small"].products == ["small.fits"]
    done = sorted(line.rsplit(" ", 1)[0] for line in log)
    assert done == ["large begins", "large begins", "large ends", "small begins", "small ends"]


def test_job_that_the_partition_does_not_start(cluster, calibrate):
    results, log = calibrate({"endless": "well"}, address="slurm://tests?time=3d")
    failure = results["endless"].failure
    assert failure.startswith("endless: SLURM does not start job ")
    assert failure.endswith(": PartitionTimeLimit")
    assert (log, cluster.jobs()) == ([], [])
