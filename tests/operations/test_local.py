"""``make up``, and the night in which the CRDS context changes and the worker is killed."""

import json
import sqlite3
import subprocess
import sys
import time

import pytest
from loopback import silent
from machine import until

IMAGE = "jw01234001001_02101_00001_nrcb1_uncal.fits"
SILENCE = "35"
"""Seconds without a heartbeat, of which there is one every 30: few, for the test's sake."""


def times(archive):
    return {path.name: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()}


def running(operated, flow):
    return operated.runs(flow, "RUNNING")


def test_night_in_which_the_context_changes_and_the_worker_is_killed(operated):
    assert operated.run("flows.automations", SILENCE).returncode == 0
    before = times(operated.archive)
    operated.crds.manners["jwst_nircam_gain_0002.fits"] = silent(operated.crds)
    operated.declare("jwst_0002.pmap")
    watched = operated.ended(operated.start("watch-context"))
    assert watched["message"] == "jwst_0001.pmap → jwst_0002.pmap"

    run = until(lambda: running(operated, "reprocess"), "a run that the automation starts")[0]
    assert run["created_by"]["type"] == "AUTOMATION"
    until(lambda: running(operated, "exposure"), "an exposure under way")
    parts = [running(operated, flow)[0] for flow in ("calwebb", "exposure")]
    time.sleep(3)  # until it has been heard of
    for process in operated.processes("worker"):
        process.kill()  # as when the machine is switched off
    lost = operated.start("watch-context")
    operated.ask("POST", f"/flow_runs/{lost}/set_state", state={"type": "PENDING"})
    for each in (run["id"], *(part["id"] for part in parts), lost):
        state = operated.ended(each)
        assert state["type"] == "CRASHED"
        assert state["message"].startswith(f"No heartbeat for {SILENCE} s")

    operated.crds.manners.clear()
    (server, *_) = operated.processes("server")
    assert operated.up().startswith(operated.url)
    assert operated.processes("server")[0] == server  # only what had ended is started
    again = operated.start("reprocess")
    state = operated.ended(again)
    assert state["message"] == "1 of 2 stale under jwst_0002.pmap: 1 done, 0 failed, 0 left"
    summary = operated.artifact(again, "reprocess")
    for reason in ("reference gain 0001 → 0002", "reference flat 0001 → 0002"):
        assert f" | {reason} |" in summary
    after = times(operated.archive)
    assert after.keys() == before.keys()  # no leftovers either
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if "_00001_" in name} - {IMAGE}


def test_automation_is_left_alone_by_another_make_up(operated):
    """The server would forget the runs it waits to hear of."""

    def triggers():
        found = operated.ask("POST", "/automations/filter")
        return {each["trigger"]["id"] for each in found if each["name"].startswith("mark runs ")}

    assert operated.run("flows.automations").returncode == 0
    before = triggers()
    assert operated.run("flows.automations").returncode == 0
    assert triggers() == before
    assert operated.run("flows.automations", SILENCE).returncode == 0
    assert len(before) == 2 and not before & triggers()


@pytest.mark.parametrize(
    ("deployment", "parameters", "words"),
    [
        (
            "calwebb_detector1/calwebb-detector1",
            {"input": IMAGE, "steps": {"jump": {"rejection_threshold": "x"}}},
            "Validation failed for field 'steps.jump.rejection_threshold'",
        ),
        (
            "calwebb_detector1/calwebb-detector1",
            {"input": IMAGE, "steps": {"jump": {"pre_hooks": ["shell: true"]}}},
            "'pre_hooks'",
        ),
        ("reprocess/reprocess", {"limit": "many"}, "Validation failed for field 'limit'"),
    ],
)
def test_prefect_deployment_run_refuses_what_the_form_would(
    operated, deployment, parameters, words
):
    told = [
        word for name in parameters for word in ("-p", f"{name}={json.dumps(parameters[name])}")
    ]
    done = operated.run("prefect", "deployment", "run", deployment, *told)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("deployment", "parameters", "words"),
    [
        ("reprocess", {"archive": ["/etc"]}, "input = '/etc' is not below"),
        ("reprocess", {"crds_context": "/tmp/x.pmap"}, "expected the name of a context"),
        (
            "calwebb",
            {"inputs": [], "parameters": {"steps": {"jump": {"pre_hooks": ["shell: true"]}}}},
            "steps.jump.pre_hooks is not allowed in a deployment",
        ),
    ],
)
def test_run_that_may_not_be_told_that_fails_with_the_reason(
    operated, deployment, parameters, words
):
    state = operated.ended(operated.start(deployment, **parameters))
    assert state["type"] == "FAILED"
    assert words in state["message"]


def test_make_down_ends_what_make_up_started_and_nothing_else(operated):
    """A run that is under way is told to end, and has told the server so."""
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        operated.declare("jwst_0001.pmap")
        run = operated.start("reprocess")
        until(lambda: running(operated, "exposure"), "an exposure under way")
        started = operated.processes("worker") + operated.processes("server")
        assert len(started) > 4
        operated.down()
        assert [each for each in started if each.is_running()] == []
        assert bystander.poll() is None
        assert not list(operated.state.glob("*.pid"))
    finally:
        bystander.stdin.close()
        bystander.wait()
    operated.down()  # once more is no error

    with sqlite3.connect(operated.state / "prefect" / "prefect.db") as database:
        states = dict(database.execute("SELECT id, state_type FROM flow_run"))
    assert states[run] == "CRASHED"
    assert "RUNNING" not in states.values()
