"""What ``make up`` starts: as a person sees it in a browser, and what it does when left alone.

One file, as one machine is enough: making it ready takes longer than most of what is tested.
"""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import time

import browser
import httpx
import pytest
from loopback import silent
from machine import until

IMAGE = "jw01234001001_02101_00001_nrcb1_uncal.fits"
SILENCE = "35"
"""Seconds without a heartbeat, of which there is one every 30: few, for the test's sake."""
SCREENSHOTS = os.environ.get("STPIPE_PREFECT_SCREENSHOTS", "")
"""Folder for pictures of what is looked at; empty for none."""


@pytest.fixture(scope="module")
def chromium():
    browser.skip_without_browser()
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def signed_in(machine_of_tests, chromium):
    """A browser in which a person has given the password."""
    window = chromium.new_context(viewport={"width": 1300, "height": 900})
    window.set_default_timeout(60_000)
    page = window.new_page()
    page.goto(machine_of_tests.url)
    page.get_by_placeholder("admin:pass").fill(machine_of_tests.credentials)
    page.get_by_role("button", name="Login").click()
    sees(page, "Dashboard")
    page.close()
    return window


@pytest.fixture
def page(signed_in):
    page = signed_in.new_page()
    yield page
    page.close()


def sees(page, *texts):
    for text in texts:
        page.get_by_text(text).locator("visible=true").first.wait_for()


def picture(page, name):
    if SCREENSHOTS:
        page.wait_for_timeout(2500)  # until what moves has come to rest
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png")


@pytest.fixture(scope="module")
def by_form(machine_of_tests, signed_in):
    """Run a pipeline from its form, with one value typed; gives the id of the run, which ended."""
    operated = machine_of_tests
    deployment = operated.ask("GET", "/deployments/name/calwebb_detector1/calwebb-detector1")
    (exposure,) = operated.archive.glob("*_00001_*_uncal.fits")
    page = signed_in.new_page()
    page.set_viewport_size({"width": 1300, "height": 1000})
    page.goto(f"{operated.url}/deployments/deployment/{deployment['id']}/run")
    heading = page.get_by_text("jump (Optional)", exact=True)
    label = heading.locator("xpath=following::*[starts-with(text(), 'rejection_threshold')][1]")
    label.locator("xpath=following::input[1]").fill("7.5")
    height = "Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollHeight))"
    assert page.evaluate(height) < 22_000  # bearable for 20 steps with 208 fields
    field = page.get_by_text("Exposure or association to calibrate")
    field.locator("xpath=following::textarea[1]").fill(str(exposure))
    field = page.get_by_text("Folder for the products")
    field.locator("xpath=following::*[text()='str'][1]").click()
    field.locator("xpath=following::textarea[1]").fill(str(operated.by_hand))
    answer = browser.submitted(page)
    parameters = json.loads(answer.request.post_data)["parameters"]
    assert parameters["input"] == str(exposure)
    assert parameters["steps"] == {"jump": {"rejection_threshold": 7.5}}
    run = answer.json()["id"]
    page.close()
    state = operated.ended(run)
    assert state["type"] == "COMPLETED", state["message"]
    return run


def test_scheduled_run_appears(operated, page):
    until(lambda: operated.runs("reprocess", "SCHEDULED"), "a scheduled run")
    deployment = operated.ask("GET", "/deployments/name/reprocess/reprocess")
    page.goto(f"{operated.url}/deployments/deployment/{deployment['id']}?tab=Upcoming")
    sees(page, "nightly", "auto-scheduled", "reprocess when the CRDS context changes")
    picture(page, "scheduled")


def test_run_from_the_form_has_its_graph_and_logs(operated, by_form, page):
    page.goto(f"{operated.url}/runs/flow-run/{by_form}")
    sees(page, "calwebb_detector1 · jw01234001001_02101_00001", "Completed", "25 Task runs")
    sees(page, "Step Detector1Pipeline running")
    picture(page, "run")
    assert page.locator("canvas").first.bounding_box()["height"] > 200


def test_run_from_the_form_has_its_tables_and_quick_look(operated, by_form, page):
    page.goto(f"{operated.url}/runs/flow-run/{by_form}")
    page.get_by_text("Artifacts", exact=True).locator("visible=true").first.click()
    sees(page, "time-per-step", "Quick look: ")
    picture(page, "artifacts")
    for key, texts in (
        ("parameters", ("rejection_threshold", "CRDS step file jwst_nircam_pars-jumpstep_")),
        ("references", ("jwst_nircam_superbias_0001.fits",)),
        ("products", ("_rate.fits",)),
    ):
        page.goto(f"{operated.url}/artifacts/artifact/{_artifact(operated, by_form, key)}")
        sees(page, *texts)
        picture(page, key)
    rows = json.loads(operated.artifact(by_form, "parameters"))
    (row,) = (row for row in rows if row["parameter"] == "rejection_threshold")
    assert (row["value"], row["source"]) == ("7.5", "flow run")
    assert row["instead of"].startswith("5.0 (CRDS step file ")
    quick_look = _artifact(operated, by_form, "_rate.fits")
    page.goto(f"{operated.url}/artifacts/artifact/{quick_look}")
    image = page.locator(".markdown-renderer img").first
    image.wait_for(state="visible")
    assert image.evaluate("image => image.naturalWidth") >= 200
    picture(page, "quick-look")


def _artifact(operated, run, key):
    only = {"flow_run_id": {"any_": [run]}}
    found = operated.ask("POST", "/artifacts/filter", artifacts=only)
    (artifact,) = (each for each in found if _is_called(each, key))
    return artifact["id"]


def _is_called(artifact, name):
    """A quick look has no key: its description names the product."""
    return artifact["key"] == name or (artifact["key"] is None and name in artifact["description"])


def test_reprocess_shows_how_far_it_is_and_what_it_did(operated, page):
    (run,) = (each for each in operated.runs("reprocess") if "2 done" in _message(each))
    page.goto(f"{operated.url}/runs/flow-run/{run['id']}")
    sees(page, "reprocess · archive", "stale under")
    picture(page, "reprocess")
    progress = _artifact(operated, run["id"], "reprocessed")
    page.goto(f"{operated.url}/artifacts/artifact/{progress}")
    sees(page, "Stale products reprocessed", "100")
    summary = f"{operated.url}/artifacts/artifact/{_artifact(operated, run['id'], 'reprocess')}"
    page.goto(summary)
    sees(page, "because of", "2 done, 0 failed, 0 left")
    picture(page, "summary")


def _message(run):
    return run["state"]["message"] or ""


def times(archive):
    return {path.name: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()}


def running(operated, flow):
    return operated.runs(flow, "RUNNING")


@pytest.mark.slow
def test_night_in_which_the_context_changes_and_the_worker_is_killed(operated):
    assert operated.run("flows.automations", SILENCE).returncode == 0
    before = times(operated.archive)
    operated.ended(operated.start("watch-context"))
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
        ("calwebb/calwebb", {"inputs": [], "time_limit": -1}, "field 'time_limit'"),
    ],
)
def test_server_refuses_what_the_form_would(operated, deployment, parameters, words):
    with pytest.raises(httpx.HTTPStatusError) as caught:
        operated.start(deployment, **parameters)
    assert words in caught.value.response.json()["detail"]


def test_run_that_may_not_be_given_that_fails_with_the_reason(operated):
    state = operated.ended(operated.start("reprocess", archive=["/etc"]))
    assert state["type"] == "FAILED"
    assert "input = '/etc' is not below" in state["message"]


def test_nothing_is_answered_without_the_password(operated):
    assert httpx.get(f"{operated.url}/api/health").status_code == 200
    for auth in (None, ("prefect", "guessed")):
        answer = httpx.post(f"{operated.url}/api/flows/filter", json={}, auth=auth)
        assert answer.status_code == 401
    assert stat.filemode((operated.state / "credentials").stat().st_mode) == "-rw-------"


def test_page_is_kept_with_the_state(operated):
    """Beside Prefect's code it cannot be, where that is another user's."""
    assert list(operated.state.glob("ui/*/index.html"))
    assert "<html" in httpx.get(operated.url, follow_redirects=True).text


def test_run_chooses_neither_its_command_nor_its_environment(operated):
    variables = {"command": "touch pwned", "env": {"CRDS_SERVER_URL": ""}, "working_dir": "/x"}
    deployment = operated.ask("GET", "/deployments/name/watch-context/watch-context")
    for name in variables:
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            operated.ask(
                "POST",
                f"/deployments/{deployment['id']}/create_flow_run",
                job_variables={name: variables[name]},
            )
    run = operated.ask(  # this way the server does not look at them
        "POST",
        "/flow_runs/",
        flow_id=deployment["flow_id"],
        deployment_id=deployment["id"],
        work_pool_name="process",
        state={"type": "SCHEDULED"},
        job_variables=variables,
    )
    state = operated.ended(run["id"])
    assert (state["type"], state["message"][:4]) == ("COMPLETED", "jwst")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--port", "1"), "PORT=1: server and worker run with PORT={port};"),
        (("--archive", "/other"), "ARCHIVE=/other: server and worker run with ARCHIVE={archive};"),
        (("--auth", "off"), "AUTH=off: server and worker run with AUTH=on;"),
    ],
)
def test_make_up_says_that_what_runs_cannot_be_changed(operated, option, words):
    done = operated.local("up", *option)
    assert done.returncode == 1
    expected = words.format(port=operated.port, archive=operated.archive)
    assert done.stderr.startswith(expected) and "then make up restarts them" in done.stderr


def test_make_down_ends_what_make_up_started_and_nothing_else(operated):
    """A run that is under way is asked to end, and reports so to the server."""
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        is_first = operated.declared == "jwst_0001.pmap"
        operated.declare("jwst_0002.pmap" if is_first else "jwst_0001.pmap")  # all is stale
        run = operated.start("reprocess")
        until(lambda: running(operated, "exposure"), "an exposure under way")
        started = operated.processes("worker") + operated.processes("server")
        assert len(started) > 2
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
