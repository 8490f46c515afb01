"""A run that is ended at any moment leaves old or new, never half; the next one goes on."""

import os
import random
import shutil
import signal
import subprocess

import pytest

MOMENTS = int(os.environ.get("STPIPE_PREFECT_KILLS", "1"))
"""How often a run is killed; ``make bench`` does it twenty times."""


def check_next_run(calibration, out, assert_same_products):
    made = {path.name for path in out.glob("*.json")}
    had_checkpoint = bool(calibration.checkpoints(out))
    again = calibration.run(out, "--checkpoint", "jump")
    assert again.returncode == 0, again.stderr
    assert_same_products(out, calibration.undisturbed)
    assert calibration.left_over(out) == []
    if had_checkpoint and not any("detector1" in name for name in made):
        steps = calibration.steps(out, "calwebb_detector1")
        assert steps["dq_init"] == steps["jump"] == "Cached"
        assert steps["ramp_fit"] == "Completed"


@pytest.mark.parametrize("number", range(MOMENTS))
def test_kill(calibration, assert_same_products, tmp_path, number):
    out = tmp_path / "out"
    share = (number + random.random()) / MOMENTS
    calibration.end(out, signal.SIGKILL, after=share * (calibration.seconds + 1))
    for product in out.glob("*.fits"):  # each one that is there is whole
        assert product.stat().st_size == (calibration.undisturbed / product.name).stat().st_size
    check_next_run(calibration, out, assert_same_products)


@pytest.mark.slow
def test_terminate(calibration, assert_same_products, tmp_path):
    out = tmp_path / "out"
    calibration.end(out, signal.SIGTERM, after=0.6 * calibration.seconds)
    check_next_run(calibration, out, assert_same_products)


def test_full_disk(calibration, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(out)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by an administrator only")
    try:
        for path in calibration.undisturbed.iterdir():
            shutil.copy2(path, out)
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        run = calibration.run(out, "--overwrite")
        after = {path.name: path.read_bytes() for path in out.iterdir()}
    finally:
        subprocess.run(["umount", str(out)], check=True)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("calwebb: ")
    assert before == after  # what was there is as it was
