"""From the command to the first step, with the embedded Prefect server and with a running one."""

import os
import subprocess
import sys
import time

import pytest


def seconds_to_first_step(exposure, output_dir, environment) -> float:
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flows.calwebb", str(exposure)),
            *("--stage", "1", "--verbose", "--overwrite"),
            *("--output-dir", str(output_dir)),
        ],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    begun = None
    assert process.stdout is not None
    for line in process.stdout:
        if begun is None and "Step group_scale running" in line:
            begun = time.perf_counter() - started
    assert process.wait() == 0
    assert begun is not None
    return begun


@pytest.mark.parametrize(("server", "limit"), [("embedded", 12.0), ("running", 6.0)])
def test_seconds_to_first_step(
    server, limit, small_exposure, tmp_path, environment, request, say, held
):
    exposure, crds_path = small_exposure
    environment = environment | {"CRDS_PATH": str(crds_path)}
    if server == "running":
        environment["PREFECT_API_URL"] = request.getfixturevalue("running_server")
    first, *again = (seconds_to_first_step(exposure, tmp_path, environment) for _ in range(4))
    median = sorted(again)[1]
    busy = os.getloadavg()[0]
    say(f"the first time {first:.1f} s; load of the machine {busy:.1f}")
    held(f"first step, {server} server", median, limit=limit, unit="s")
