"""Many exposures: against a shell loop over strun, in time and in memory, and with more jobs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import distributed
import pytest

from flows.sample import make_crds_cache, make_program

CALWEBB = (sys.executable, "-m", "flows.calwebb")


@pytest.fixture(scope="session")
def exposures(small, tmp_path_factory):
    """Fifty exposures of 64 x 64 pixels under names of their own."""
    folder = tmp_path_factory.mktemp("many")
    made = []
    for number in range(50):
        name = small.program.exposures[0].name.replace("_00001_", f"_{number + 1:05}_")
        made.append(Path(shutil.copy(small.program.exposures[0], folder / name)))
    return made


@pytest.fixture
def timed(small, environment):
    """Run a command to its end, and give the seconds it took."""

    def run(command, **variables):
        started = time.perf_counter()
        done = subprocess.run(
            list(map(str, command)),
            env=environment | {"CRDS_PATH": str(small.crds_path), **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return time.perf_counter() - started

    return run


def calwebb(exposures, out, *options):
    return (*CALWEBB, *exposures, "--stage", "1", "--output-dir", out, *options)


def test_twenty_exposures_against_xargs_strun(strun, exposures, timed, tmp_path, say, held):
    few = exposures[:20]
    loop = f"xargs -P2 -I@ {strun} calwebb_detector1 @ --output_dir={tmp_path} --save_results=true"
    timed(calwebb(few[:1], tmp_path / "first"))  # Prefect makes its database
    theirs = timed(["sh", "-c", f"printf '%s\\n' {' '.join(map(str, few))} | {loop}"])
    ours = timed(calwebb(few, tmp_path / "ours", "--jobs", "2"))
    say(f"20 small exposures: {ours:.1f} s, xargs -P2 strun {theirs:.1f} s")
    held("20 small exposures / xargs -P2 strun", ours / theirs, limit=0.30)


def test_two_jobs_against_one(exposures, timed, tmp_path, say, held):
    timed(calwebb(exposures[:1], tmp_path / "first"))
    seconds = {
        (jobs, number): timed(
            calwebb(exposures[:number], tmp_path / f"{jobs}-{number}", "--jobs", jobs)
        )
        for number in (4, 24)
        for jobs in (1, 2)
    }
    # What happens once for a command takes most of the time of few small exposures: twenty more.
    each = {jobs: (seconds[jobs, 24] - seconds[jobs, 4]) / 20 for jobs in (1, 2)}
    whole = seconds[1, 24] / seconds[2, 24]
    say(f"a further small exposure: {each[1]:.2f} s with one job, {each[2]:.2f} s with two")
    say(f"24 small exposures, 2 jobs: {whole:.2f} x as fast as one, with all that happens once")
    held("a further small exposure, 2 jobs / one", each[2] / each[1], limit=1 / 1.8)


def test_two_dask_workers_against_two_jobs(
    exposures, timed, running_server, small, tmp_path, monkeypatch, say, assert_same_arrays
):
    few = exposures[:12]
    seconds = {"jobs": timed(calwebb(few, tmp_path / "jobs", "--jobs", "2"))}
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))  # of the workers
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        address = cluster.scheduler_address.replace("tcp", "dask")
        for name in ("dask", "dask again"):  # workers import jwst the first time
            command = calwebb(few, tmp_path / name, "--runner", address)
            seconds[name] = timed(command, PREFECT_API_URL=running_server)
    for path in (tmp_path / "jobs").glob("*.fits"):
        assert_same_arrays(path, tmp_path / "dask" / path.name)
    say("12 small exposures, 2 jobs and 2 Dask workers: " + str(seconds))


def test_dask_worker_killed_midway(
    exposures, timed, running_server, small, tmp_path, monkeypatch, say, assert_same_arrays
):
    many = exposures[:40]
    timed(calwebb(many, tmp_path / "here", "--jobs", "2"))
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))  # of the workers
    out = tmp_path / "dask"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:

        def kill_a_worker():
            while len(list(out.glob("*_rate.fits"))) < 15:
                time.sleep(0.2)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

        killing = threading.Thread(target=kill_a_worker)
        killing.start()
        address = cluster.scheduler_address.replace("tcp", "dask")
        seconds = timed(calwebb(many, out, "--runner", address), PREFECT_API_URL=running_server)
        killing.join()
    products = sorted(path.name for path in (tmp_path / "here").glob("*.fits"))
    assert len(products) == 80
    assert sorted(path.name for path in out.iterdir() if path.suffix == ".fits") == products
    for name in products:
        assert_same_arrays(tmp_path / "here" / name, out / name)
    say(f"40 small exposures on 2 Dask workers, one killed: {seconds:.0f} s, all the same")


def test_memory_does_not_grow_with_the_number(
    strun, exposures, tmp_path, peak_memory, say, held, small
):
    cache = str(small.crds_path)
    started = time.perf_counter()
    of_command = peak_memory(*calwebb(exposures, tmp_path / "ours", "--jobs", "2"), CRDS_PATH=cache)
    seconds = time.perf_counter() - started
    peaks = [
        (record["run"]["started"], record["run"]["peak_memory_mb"])
        for path in (tmp_path / "ours").glob("*.provenance.json")
        for record in [json.loads(path.read_text())]
    ]
    in_order = [peak for _, peak in sorted(peaks)]
    command = (strun, "calwebb_detector1", exposures[0], f"--output_dir={tmp_path}")
    by_strun = peak_memory(*command, CRDS_PATH=cache)
    say(f"50 small exposures in {seconds:.0f} s; the command itself {of_command:.0f} MB")
    held("peak memory of the 50th exposure / the 5th", in_order[-1] / in_order[4], limit=1.05)
    held("peak memory of the 50th exposure / strun", in_order[-1] / by_strun, limit=1.10)


@pytest.mark.parametrize(("size", "groups", "limit"), [(64, 5, 1.5), (1024, 10, 1.0)])
def test_one_exposure_against_strun(
    size, groups, limit, strun, timed, tmp_path, running_server, say, held
):
    program = make_program(
        tmp_path / "raw", size=size, dithers=1, integrations=4, groups=groups, stars=3
    )
    cache = str(make_crds_cache(tmp_path / "crds", size=size, groups=groups))
    exposure = program.exposures[0]
    theirs, ours = [], []
    for number in range(3):
        command = [strun, "calwebb_detector1", exposure, f"--output_dir={tmp_path}"]
        theirs.append(timed(command, CRDS_PATH=cache))
        command = calwebb([exposure], tmp_path / str(number))
        ours.append(timed(command, CRDS_PATH=cache, PREFECT_API_URL=running_server))
    ratio = sorted(ours)[1] / sorted(theirs)[1]
    say(f"{exposure.stat().st_size / 1e6:.0f} MB: {sorted(ours)[1]:.1f} s, {sorted(theirs)[1]:.1f}")
    held(f"one exposure of {size} x {size} x {groups} x 4 / strun", ratio, limit=limit)
