"""Exposures on a real SLURM of two nodes: one fails, the controller is killed, jobs outgrow theirs.

Also what becomes of the jobs when the command is interrupted or killed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from machine import until
from misbehaving import FLOW
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from slurm import slurm

from stpipe_prefect.execution import job_size
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.runners import task_runner

NUMBER = 40

HOOK = """
import time


def by_name(model):
    name = model.meta.filename
    if "_00003_" in name or "_00004_" in name:
        held = b"x" * (3_000_000_000 if "_00004_" in name else 900_000_000)
        time.sleep(10)
        del held
    if "_00005_" in name:
        time.sleep(3600)
    if "_00041_" in name:
        time.sleep(10)
"""

MEMORY, BEYOND_MEMORY, BEYOND_TIME = "_00003_", "_00004_", "_00005_"
"""One needs more than it gets at first; of two nothing can come."""


@pytest.fixture(scope="module")
def cluster():
    with slurm() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def exposures(small, tmp_path_factory):
    """Many exposures of 64 x 64 pixels under names of their own."""
    folder = tmp_path_factory.mktemp("raw")
    return copies(small, folder, range(1, NUMBER + 1))


def copies(small, folder, numbers):
    first = small.program.exposures[0]
    names = [first.name.replace("_00001_", f"_{number:05}_") for number in numbers]
    return [Path(shutil.copy(first, folder / name)) for name in names]


@pytest.fixture
def command(small, cluster, environment, running_server, tmp_path):
    """Begin a calwebb command that hands its exposures to SLURM."""
    (tmp_path / "hooks_of_test.py").write_text(HOOK)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    variables = {
        "CRDS_PATH": str(small.crds_path),
        "PREFECT_API_URL": running_server,
        "PYTHONPATH": path,
        **cluster.environment,
    }

    begun = []

    def begin(files, out, *options):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "flows.calwebb", *map(str, files)),
                *("--stage", "1", "--output-dir", str(out), *options),
            ],
            env=environment | variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for each in begun:
        each.kill()


def test_forty_exposures_while_a_node_fails_and_the_controller_is_killed(
    command, cluster, exposures, tmp_path, say, assert_same_arrays
):
    here, out = tmp_path / "here", tmp_path / "products"
    local = command(exposures, here, "--jobs", "2")
    text = local.communicate()[0]
    assert local.returncode == 0, text
    products = sorted(path.name for path in here.glob("*.fits"))
    assert len(products) == 2 * NUMBER
    started = time.monotonic()
    hook = "--steps.group_scale.pre_hooks=hooks_of_test.by_name,"
    running = command(exposures, out, hook, "--runner", "slurm://tests?mem=3G&time=4m")

    def disturb():
        while len(list(out.glob("*_rate.fits"))) < 8:
            time.sleep(0.5)
        cluster.fail("n1")
        say(f"n1 failed after {time.monotonic() - started:.0f} s")
        time.sleep(30)
        cluster.start("slurmd", "-D", "-N", "n1")
        time.sleep(30)
        cluster.kill("slurmctld")
        time.sleep(5)
        cluster.start("slurmctld", "-D")
        say(f"the controller was killed, and started {time.monotonic() - started:.0f} s")

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    text = running.communicate()[0]
    disturbing.join()
    seconds = time.monotonic() - started
    say(f"40 small exposures on two nodes of two cores: {seconds:.0f} s\n{text}")
    assert running.returncode == 1
    assert len(re.findall(r"^calwebb: ", text, re.MULTILINE)) == 2, text
    assert re.search(rf"{BEYOND_MEMORY}.*needed more than the \d+ MB of its job", text)
    assert re.search(rf"{BEYOND_TIME}.*took longer than the 4 min of its job", text)
    made = [name for name in products if BEYOND_MEMORY not in name and BEYOND_TIME not in name]
    assert sorted(path.name for path in out.glob("*.fits")) == made
    assert any(MEMORY in name for name in made)
    for name in made:
        assert_same_arrays(here / name, out / name)
    assert list(out.glob(".unfinished-slurm*")) == []
    assert cluster.jobs() == []
    records = [json.loads(path.read_text()) for path in out.glob("*.provenance.json")]
    assert len(records) == NUMBER - 2


def test_jobs_of_a_command_that_is_interrupted_or_killed(command, cluster, small, tmp_path, say):
    raw, out = tmp_path / "raw", tmp_path / "products"
    raw.mkdir()
    files = copies(small, raw, (5, 41, 42, 43))
    hook = "--steps.group_scale.pre_hooks=hooks_of_test.by_name,"
    options = (hook, "--runner", "slurm://tests")
    for number in (signal.SIGINT, signal.SIGKILL):
        running = command(files, out, *options)
        until(lambda: "RUNNING" in dict(cluster.jobs()), "a job that runs")
        time.sleep(15)
        running.send_signal(number)
        started = time.monotonic()
        text = running.communicate()[0]
        until(lambda: cluster.jobs() == [], "an empty queue")
        seconds = time.monotonic() - started
        say(f"signal {number.name}: no job left after {seconds:.0f} s: {text}")
        assert running.returncode == (130 if number == signal.SIGINT else -number)
        assert not {path.name for path in out.glob("*")} & {"ended.json"}
        until(lambda: cluster._of_jobs("n1") + cluster._of_jobs("n2") == [], "no process left")
    again = command(files[1:], out, *options)
    text = again.communicate()[0]
    assert again.returncode == 0, text
    assert len(list(out.glob("*_rate.fits"))) == 3
    assert list(out.glob(".unfinished*")) == []


def test_one_beyond_its_time_gets_twice_as_much(
    cluster, running_server, fork_server, tmp_path, monkeypatch, say
):
    monkeypatch.setattr(job_size, "START_SECONDS", 110.0)
    log = tmp_path / "log"
    hows = {"late": "sleep170", "too late": "sleep600"}
    exposures = [
        Exposure(name, FLOW, {"name": name, "how": how, "log": str(log)}, seconds=5.0)
        for name, how in hows.items()
    ]
    with temporary_settings({PREFECT_API_URL: running_server}):

        @flow(task_runner=task_runner("slurm://tests", tmp_path))
        def campaign():
            return {result.name: result for result in calibrate_all(exposures)}

        results = campaign()
    say(f"{[(name, str(each.outcome), each.failure) for name, each in results.items()]}")
    begun = [line.rpartition(" begins")[0] for line in log.read_text().splitlines()]
    assert sorted(filter(None, begun)) == ["late", "late", "too late", "too late"]
    assert (
        results["too late"].failure == "too late: pipeline: took longer than the 4 min of its job"
    )
