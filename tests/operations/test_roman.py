"""An archive of Roman that `make up` takes care of, through a change of context."""

from __future__ import annotations

import shutil

import pytest
from loopback import silent
from machine import machine, until

SILENCE = "35"
"""Seconds without a heartbeat, of which there is one every 30."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def operated(roman, roman_products, tmp_path_factory):
    """A machine that is up, and an archive that was calibrated under the first context."""
    folder = tmp_path_factory.mktemp("roman")
    crds_path = shutil.copytree(roman.crds_path, folder / "crds")
    archive = shutil.copytree(roman_products / "out", folder / "archive")
    for path in (*roman.exposures, roman.association):
        shutil.copy(path, archive)
    with machine(folder, crds_path, "roman") as made:
        yield made


def test_context_changes_and_the_worker_is_killed(operated, roman):
    assert operated.run("flows.automations", SILENCE).returncode == 0
    first = operated.ended(operated.start("reprocess"))
    assert first["message"] == "0 of 4 stale under roman_0001.pmap: 0 done, 0 failed, 0 left"
    assert operated.ended(operated.start("watch-context/watch-context-roman"))["name"] == (
        "Completed"
    )
    operated.crds.manners["roman_wfi_flat_0002.asdf"] = silent(operated.crds)
    operated.declare("roman_0002.pmap")
    watched = operated.ended(operated.start("watch-context/watch-context-roman"))
    assert watched["message"] == "roman_0001.pmap → roman_0002.pmap"

    run = until(lambda: operated.runs("reprocess", "RUNNING"), "a run of the automation")[0]
    assert run["created_by"]["type"] == "AUTOMATION"
    parts = [
        until(lambda: operated.runs(flow, "RUNNING"), f"{flow} under way")[0]  # noqa: B023
        for flow in ("romancal", "exposure")
    ]
    until(lambda: operated.crds.asked["roman_wfi_flat_0002.asdf"], "a flat asked for")
    for process in operated.processes("worker"):
        process.kill()
    for each in (run, *parts):
        assert operated.ended(each["id"])["type"] == "CRASHED"

    operated.crds.manners.clear()
    operated.up()
    state = operated.ended(operated.start("reprocess"))
    assert state["message"] == "4 of 4 stale under roman_0002.pmap: 4 done, 0 failed, 0 left"
    state = operated.ended(operated.start("reprocess"))
    assert state["message"] == "0 of 4 stale under roman_0002.pmap: 0 done, 0 failed, 0 left"
    assert {path.name for path in operated.archive.iterdir() if path.is_dir()} == set()
