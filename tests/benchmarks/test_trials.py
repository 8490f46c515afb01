"""Trials that differ in a late step, against one run and against as many runs of their own."""

import subprocess
import sys
import time

from flows.sample import make_crds_cache, make_program

SIZE, GROUPS = 1024, 10
VALUES = ("1", "2", "3")
PARAMETER = "steps.ramp_fit.firstgroup"


def on_disk(folder):
    """Count the bytes of products, each file once."""
    files = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*.fits")}
    return sum(files.values())


def test_three_trials_that_differ_in_ramp_fit_only(
    tmp_path, environment, running_server, say, held, assert_same_arrays
):
    program = make_program(tmp_path / "raw", size=SIZE, dithers=1, integrations=2, groups=GROUPS)
    variables = environment | {
        "CRDS_PATH": str(make_crds_cache(tmp_path / "crds", size=SIZE, groups=GROUPS)),
        "PREFECT_API_URL": running_server,
        "STPIPE_PREFECT_CHECKPOINTS": str(tmp_path / "checkpoints"),
    }

    def run(out, *options):
        command = [sys.executable, "-m", "flows.calwebb", program.exposures[0], "--stage", "1"]
        started = time.perf_counter()
        command += ["--output-dir", tmp_path / out, *options]
        subprocess.run(command, env=variables, check=True, capture_output=True)
        return time.perf_counter() - started

    run("first", f"--{PARAMETER}=4")  # bears the cost of a first time
    alone = [run(f"alone{value}", f"--{PARAMETER}={value}") for value in VALUES]
    three = run("swept", "--sweep", f"{PARAMETER}={','.join(VALUES)}")
    for value in VALUES:
        products = [*(tmp_path / "swept/trials" / f"firstgroup={value}").glob("*.fits")]
        assert products
        for product in products:
            assert_same_arrays(product, tmp_path / f"alone{value}" / product.name)
    say(f"three trials: {three:.1f} s, one run {min(alone):.1f} s")
    held("three trials / one run", three / min(alone), limit=1.8)
    before = on_disk(tmp_path / "alone1")
    run("alone1", "--trial", "same", f"--{PARAMETER}={VALUES[0]}")
    run("alone1", "--trial", "too", f"--{PARAMETER}={VALUES[0]}")
    ratio = on_disk(tmp_path / "alone1") / before
    held("disk of products that three share / of one", ratio, limit=1.1)
