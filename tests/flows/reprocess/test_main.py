"""The command as a user runs it."""

import json
import os

import pytest

NOWHERE = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
"""A Prefect server that does not answer: for what needs none."""


def test_plan_says_what_is_stale_and_runs_nothing(command, archive):
    before = archive.times()
    done = command(archive.folder, "--plan", "--context", "jwst_0002.pmap", **NOWHERE)
    assert done.returncode == 0, done.stderr
    first, *reasons, last = done.stdout.splitlines()
    assert first.startswith(f"{archive.image}: ") and "reference gain 0001 → 0002" in first
    assert len(reasons) == 3
    assert last == "1 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 1 left"
    assert archive.times() == before


def test_only_what_is_stale_is_made_anew_and_the_old_is_kept(command, archive):
    before = archive.times()
    options = ("--context", "jwst_0002.pmap", "--keep-previous", "--json")
    done = command(archive.folder, *options)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["done"], report["left"], report["failed"]) == ([str(archive.image)], [], {})
    after = archive.times()
    products = {path for path in before if path.parent == archive.image.parent}
    changed = {path for path in before if after[path] != before[path]}
    assert changed == products - {archive.image}
    kept = {path.name: time for path, time in after.items() if "previous" in path.parts}
    assert kept == {path.name: before[path] for path in changed}

    again = command(archive.folder, "--context", "jwst_0002.pmap", **NOWHERE)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "0 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 0 left\n"


@pytest.mark.slow
def test_limit_and_failure(command, archive):
    """One that fails does not use the limit up, and the next run does what is left."""
    os.truncate(archive.image, archive.image.stat().st_size - 2880)
    (dark,) = archive.folder.rglob("*_darkpipeline.fits")
    dark.unlink()
    done = command(archive.folder, "--limit", "1")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "1 of 2 stale under jwst_0001.pmap: 1 done, 1 failed, 0 left"
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"reprocess: {archive.image}: truncated")
    assert dark.exists()


def test_wrong_usage_is_one_line(command, tmp_path):
    for arguments, code, words in (
        ([tmp_path / "no"], 1, "no: no such folder or list of exposures"),
        ([tmp_path, "--limit", "none"], 2, "expected a number of exposures, not 'none'"),
        ([tmp_path, "--context", "new"], None, "'new' is not a context"),
    ):
        done = command(*arguments)
        assert done.returncode == code or (code is None and done.returncode)
        assert words in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
