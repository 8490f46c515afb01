"""``make up``, and the night in which the CRDS context changes and the worker is killed."""

import json
import signal
import subprocess
import sys

import pytest
from machine import until

IMAGE = "jw01234001001_02101_00001_nrcb1_uncal.fits"
SILENCE = "35"
"""Seconds without a heartbeat, of which there is one every 30: few, for the test's sake."""


def times(archive):
    return {path.name: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()}


def running(operated, flow):
    return operated.runs(flow, "RUNNING")


def test_context_that_changes_has_what_it_affects_reprocessed(operated):
    before = times(operated.archive)
    operated.declare("jwst_0002.pmap")
    watched = operated.ended(operated.start("watch-context"))
    assert watched["message"] == "jwst_0001.pmap → jwst_0002.pmap"

    run = until(lambda: _started_by_automation(operated), "a run that the automation starts")
    state = operated.ended(run["id"])
    assert state["message"] == "1 of 2 stale under jwst_0002.pmap: 1 done, 0 failed, 0 left"
    summary = operated.artifact(run["id"], "reprocess")
    for reason in ("reference gain 0001 → 0002", "reference flat 0001 → 0002"):
        assert f"| 1 | {reason} |" in summary

    after = times(operated.archive)
    changed = {name for name in before if before[name] != after[name]}
    assert changed and "_00001_" in min(changed) and "_00001_" in max(changed)
    assert changed == {name for name in before if "_00001_" in name} - {IMAGE}


def _started_by_automation(operated):
    for run in operated.runs("reprocess"):
        if (run["created_by"] or {}).get("type") == "AUTOMATION":
            return run
    return None


def test_run_whose_worker_is_killed_is_crashed_and_the_next_does_the_rest(operated):
    assert operated.run("flows.automations", SILENCE).returncode == 0
    operated.declare("jwst_0001.pmap")
    run = operated.start("reprocess")
    until(lambda: running(operated, "exposure"), "an exposure under way")
    for process in operated.processes("worker"):
        process.send_signal(signal.SIGKILL)  # as when the machine is switched off

    assert operated.ended(run)["type"] == "CRASHED"
    parts = [operated.runs(flow)[0] for flow in ("calwebb", "exposure")]
    for part in parts:
        state = operated.ended(part["id"])
        assert state["type"] == "CRASHED"
        assert state["message"].startswith(f"No heartbeat for {SILENCE} s")

    operated.up()
    state = operated.ended(operated.start("reprocess"))
    assert state["message"] == "1 of 2 stale under jwst_0001.pmap: 1 done, 0 failed, 0 left"
    assert [path.name for path in operated.archive.iterdir() if path.name.startswith(".")] == []


def test_automation_is_left_alone_by_another_make_up(operated):
    """The server would forget the runs it waits to hear of."""

    def trigger():
        (found,) = (each for each in _automations(operated) if "vanished" in each["name"])
        return found["trigger"]["id"]

    assert operated.run("flows.automations").returncode == 0
    before = trigger()
    assert operated.run("flows.automations").returncode == 0
    assert trigger() == before
    assert operated.run("flows.automations", SILENCE).returncode == 0
    assert trigger() != before


def _automations(operated):
    return operated.ask("POST", "/automations/filter")


def test_make_up_again_starts_nothing_twice(operated):
    before = [operated.processes(name)[0].pid for name in ("server", "worker")]
    assert operated.up().startswith(operated.url)
    assert [operated.processes(name)[0].pid for name in ("server", "worker")] == before


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
    told = [word for name in parameters for word in ("-p", f"{name}={_json(parameters[name])}")]
    done = operated.run("prefect", "deployment", "run", deployment, *told)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())


def _json(value):
    return json.dumps(value)


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
        operated.declare("jwst_0002.pmap")
        operated.start("reprocess")
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

    operated.up()
    assert running(operated, "exposure") == running(operated, "reprocess") == []
    assert operated.runs("reprocess")[0]["state_type"] == "CRASHED"
