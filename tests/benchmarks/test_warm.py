"""Commands and runs of deployments that a warm process answers, against strun."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from datetime import datetime

import psutil
import pytest
from machine import ROOT, machine, until

CALWEBB = (sys.executable, "-m", "flows.calwebb")
WARM = (sys.executable, "-m", "stpipe_prefect", "warm")


@pytest.fixture(scope="module")
def warm(environment, tmp_path_factory):
    """The environment in which there is a warm process, and its number."""
    here = environment | {"XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("run"))}
    command = (*WARM, "--mission", "jwst", "--idle", "1h")
    said = subprocess.run(command, env=here, check=True, capture_output=True, text=True).stdout
    yield here, int(said.split()[2])
    subprocess.run([*WARM, "--stop"], env=here, check=True)


def seconds(command, environment) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return time.perf_counter() - started


def test_one_exposure(
    warm, environment, strun, small_exposure, tmp_path, say, held, assert_same_arrays
):
    exposure, crds_path = small_exposure
    cold = environment | {"CRDS_PATH": str(crds_path)}
    here = warm[0] | {"CRDS_PATH": str(crds_path)}
    ours = (*CALWEBB, exposure, "--stage", "1", "--output-dir")
    explain = (sys.executable, "-m", "stpipe_prefect", "explain", "calwebb_detector1", exposure)
    commands = {
        "strun": ((strun, "calwebb_detector1", exposure, f"--output_dir={tmp_path}"), cold),
        "one exposure, cold": ((*ours, tmp_path / "cold", "--overwrite"), cold),
        "one exposure, warm": ((*ours, tmp_path / "warm", "--overwrite"), here),
        "nothing to do, warm": ((*ours, tmp_path / "warm"), here),
        "--plan, warm": ((*ours, tmp_path / "warm", "--plan"), here),
        "explain, warm": (explain, here),
    }
    for command, variables in commands.values():  # the database, the server, the page cache
        seconds(command, variables)
    times = {name: [] for name in commands}
    for _ in range(3):
        for name, (command, variables) in commands.items():
            times[name].append(seconds(command, variables))
    typical = {name: statistics.median(each) for name, each in times.items()}
    say(", ".join(f"{name} {each:.2f} s" for name, each in typical.items()))
    for one in (tmp_path / "cold").glob("*.fits"):
        assert_same_arrays(one, tmp_path / "warm" / one.name)
    limits = dict(zip([*commands][1:], [1.25, 0.30, 0.08, 0.08, 0.08], strict=True))
    for name, limit in limits.items():
        held(f"{name} / strun", typical[name] / typical["strun"], limit=limit)


def test_twenty_exposures(warm, strun, small_exposure, tmp_path, say, held):
    exposure, crds_path = small_exposure
    here = warm[0] | {"CRDS_PATH": str(crds_path)}
    few = [tmp_path / exposure.name.replace("_00001_", f"_{each:05}_") for each in range(1, 21)]
    for each in few:
        shutil.copy(exposure, each)
    loop = f"xargs -P2 -I@ {strun} calwebb_detector1 @ --output_dir={tmp_path} --save_results=true"
    ours = (*CALWEBB, *few, "--stage", "1", "--jobs", "2", "--output-dir", tmp_path / "ours")
    ratio = seconds(ours, here)
    ratio /= seconds(["sh", "-c", f"printf '%s\\n' {' '.join(map(str, few))} | {loop}"], here)
    held("20 exposures, two jobs, warm / xargs -P2 strun", ratio, limit=0.18)


def test_fifty_commands(warm, small_exposure, tmp_path, held):
    exposure, crds_path = small_exposure
    here = warm[0] | {"CRDS_PATH": str(crds_path)}
    command = (*CALWEBB, exposure, "--stage", "1", "--output-dir", tmp_path, "--plan")
    seconds(command, here)
    process = psutil.Process(warm[1])
    before, files = process.memory_full_info().uss, process.num_fds()
    for _ in range(50):
        seconds(command, here)
    held(
        "memory of the warm process, 50th / 1st",
        process.memory_full_info().uss / before,
        limit=1.01,
    )
    assert (process.num_fds(), process.children()) == (files, [])


def test_deployment(strun, small, small_exposure, environment, tmp_path, say, held):
    exposure, _ = small_exposure
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(exposure, archive)
    crds_path = shutil.copytree(small.crds_path, tmp_path / "crds")
    theirs = (strun, "calwebb_detector1", exposure, f"--output_dir={tmp_path}")
    with machine(tmp_path, crds_path) as made:
        made.down()
        started = time.perf_counter()
        made.up()
        up = time.perf_counter() - started
        home = made.environment | {"PREFECT_HOME": str(made.state / "prefect")}
        home["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), home.get("PYTHONPATH")]))
        status = [*WARM, "--status"]
        until(lambda: not subprocess.run(status, env=home, check=False).returncode, "warm process")
        waits = []
        for number in range(4):
            run = made.start(
                "calwebb",
                inputs=[str(archive / exposure.name)],
                stage=1,
                output_dir=str(archive / str(number)),
            )
            assert made.ended(run)["type"] == "COMPLETED"
            created = moment(made.ask("GET", f"/flow_runs/{run}")["created"])
            waits.append((first_step(made, created) - created).total_seconds())
    by_strun = statistics.median(
        seconds(theirs, environment | {"CRDS_PATH": crds_path}) for _ in "123"
    )
    say(f"strun {by_strun:.1f} s, make up {up:.1f} s, from creation to first step {waits} s")
    held("make up, again / strun", up / by_strun, limit=1.0)
    held(
        "a run of a deployment to its first step / strun",
        statistics.median(waits[1:]) / by_strun,
        limit=0.25,
    )


def moment(text) -> datetime:
    return datetime.fromisoformat(text)


def first_step(made, since) -> datetime:
    """Say when the first step of the newest run began."""
    name = {"name": {"any_": ["group_scale"]}}
    runs = made.ask("POST", "/task_runs/filter", task_runs=name)
    return min(start for run in runs if (start := moment(run["start_time"])) > since)
