"""From the command to the first step, against strun."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

STRUN = str(Path(sys.executable).with_name("strun"))


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


@pytest.mark.parametrize(("server", "limit"), [("embedded", 1.8), ("running", 1.6)])
def test_seconds_to_first_step(
    server, limit, small_exposure, tmp_path, environment, request, say, held
):
    exposure, crds_path = small_exposure
    environment = environment | {"CRDS_PATH": str(crds_path)}
    if server == "running":
        environment["PREFECT_API_URL"] = request.getfixturevalue("running_server")
    ours = (sys.executable, "-m", "flows.calwebb", exposure, "--output-dir", tmp_path)
    ours += ("--stage", "1", "--verbose", "--overwrite")
    theirs = (STRUN, "calwebb_detector1", exposure, f"--output_dir={tmp_path}")
    first = seconds_to_first_step(ours, environment)
    pairs = [
        (seconds_to_first_step(ours, environment), seconds_to_first_step(theirs, environment))
        for _ in range(3)
    ]
    seconds, by_strun = (statistics.median(some) for some in zip(*pairs, strict=True))
    say(f"first step after {seconds:.1f} s, the first time {first:.1f} s, strun {by_strun:.1f} s")
    held(f"first step, {server} server / strun", seconds / by_strun, limit=limit)
