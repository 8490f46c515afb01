"""Where exposures run: addresses, and a Dask cluster of which a worker is killed."""

import os
import signal
import threading
import time
from pathlib import Path

import distributed
import psutil
import pytest
from misbehaving import FLOW
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.runners import task_runner
from stpipe_prefect.outcomes import Outcome

# Dask's own, when a worker is killed.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:unclosed")


def test_this_machine_is_the_default():
    assert isinstance(task_runner(None, Path()), ThreadPoolTaskRunner)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ray://127.0.0.1:1", "expected dask://HOST:PORT or slurm://PARTITION"),
        ("dask:8786", "expected dask://HOST:PORT or slurm://PARTITION"),
    ],
)
def test_address_that_is_none(address, problem):
    with pytest.raises(UsageError, match=f"^--runner {address}: {problem}$"):
        task_runner(address, Path())


def test_workers_elsewhere_need_a_server_they_can_reach(monkeypatch):
    monkeypatch.setattr("stpipe_prefect.orchestration.runners.server_is_configured", lambda: False)
    with pytest.raises(UsageError, match="set PREFECT_API_URL"):
        task_runner("dask://far.example:8786", Path())


@pytest.fixture
def start_cluster(tmp_path):
    def start(workers):
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        )

    return start


def calibrate(cluster, exposures):
    @flow(task_runner=task_runner(cluster.scheduler_address.replace("tcp", "dask"), Path()))
    def campaign():
        return list(calibrate_all(exposures))

    return campaign()


def test_an_exposure_runs_on_a_dask_cluster(prefect_server, fork_server, start_cluster, tmp_path):
    log = tmp_path / "log"
    exposure = Exposure("e", FLOW, {"name": "e", "how": "well", "log": str(log)})
    with start_cluster(1) as cluster:
        (result,) = calibrate(cluster, [exposure])
    assert (result.outcome, result.products) == (Outcome.COMPLETED, ["e.fits"])


@pytest.mark.slow
def test_a_worker_of_a_dask_cluster_is_killed_midway(
    prefect_server, fork_server, start_cluster, tmp_path
):
    log = tmp_path / "log"
    log.touch()
    exposures = [
        Exposure(f"e{n}", FLOW, {"name": f"e{n}", "how": "sleep1", "log": str(log)})
        for n in range(6)
    ]

    def kill_a_worker_of(cluster):
        while "begins" not in log.read_text():
            time.sleep(0.1)
        os.kill(cluster.workers[0].pid, signal.SIGKILL)

    with start_cluster(2) as cluster:
        killing = threading.Thread(target=kill_a_worker_of, args=[cluster])
        killing.start()
        results = calibrate(cluster, exposures)
        killing.join()
    assert {result.name: result.outcome for result in results} == {
        f"e{n}": Outcome.COMPLETED for n in range(6)
    }
    assert sorted(path for result in results for path in result.products) == [
        f"e{n}.fits" for n in range(6)
    ]
    left = [each for each in psutil.process_iter(["name"]) if each.info["name"] == "exposure"]
    assert left == []
