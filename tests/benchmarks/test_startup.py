"""From the command to the first step, against strun."""

import os
import statistics
import subprocess
import sys
import time

import pytest


def seconds_to_first_step(command, environment) -> float:
    started = time.perf_counter()
    begun = None
    with subprocess.Popen(
        list(map(str, command)),
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if begun is None and "Step group_scale running" in line:
                begun = time.perf_counter() - started
    assert process.returncode == 0
    assert begun is not None
    return begun


@pytest.mark.parametrize(("server", "limit"), [("embedded", 12.0), ("running", 6.0)])
def test_seconds_to_first_step(
    server, limit, strun, small_exposure, tmp_path, environment, request, say, held
):
    exposure, crds_path = small_exposure
    environment = environment | {"CRDS_PATH": str(crds_path)}
    if server == "running":
        environment["PREFECT_API_URL"] = request.getfixturevalue("running_server")
    ours = (sys.executable, "-m", "flows.calwebb", exposure, "--output-dir", tmp_path)
    ours += ("--stage", "1", "--verbose", "--overwrite")
    theirs = (strun, "calwebb_detector1", exposure, f"--output_dir={tmp_path}")
    first = seconds_to_first_step(ours, environment)
    pairs = [
        (seconds_to_first_step(ours, environment), seconds_to_first_step(theirs, environment))
        for _ in range(3)
    ]
    seconds, by_strun = (statistics.median(some) for some in zip(*pairs, strict=True))
    say(f"the first time {first:.1f} s, strun {by_strun:.1f} s: {seconds / by_strun:.2f} x")
    held(f"first step, {server} server", seconds, limit=limit, unit="s")


def processor_seconds(command, environment) -> float:
    before = os.times()
    subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])  # of children that have ended


@pytest.mark.parametrize("options", [(), ("--plan",)], ids=["run", "plan"])
def test_nothing_to_do(options, strun, small_exposure, tmp_path, environment, held):
    exposure, crds_path = small_exposure
    environment = environment | {"CRDS_PATH": str(crds_path)}
    ours = (sys.executable, "-m", "flows.calwebb", exposure, "--output-dir", tmp_path / "ours")
    ours += ("--stage", "1")
    theirs = (strun, "calwebb_detector1", exposure, f"--output_dir={tmp_path}")
    processor_seconds(ours, environment)
    seconds = statistics.median(processor_seconds((*ours, *options), environment) for _ in range(3))
    ratio = seconds / processor_seconds(theirs, environment)
    held(" ".join(["nothing to do", *options, "/ strun"]), ratio, limit=0.45)
