"""What a person sees of a machine that ``make up`` has started, in a real browser."""

import json
import os

import browser
import pytest
from machine import until

browser.skip_module_without_browser()

SCREENSHOTS = os.environ.get("STPIPE_PREFECT_SCREENSHOTS", "")
"""Folder for pictures of what is looked at; empty for none."""


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


@pytest.fixture
def page(chromium):
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(60_000)
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
def by_form(machine_of_tests, chromium):
    """Run a pipeline from its form; gives the id of the run, which has ended."""
    operated = machine_of_tests
    deployment = operated.ask("GET", "/deployments/name/calwebb_detector1/calwebb-detector1")
    (exposure,) = operated.archive.glob("*_00001_*_uncal.fits")
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    page.goto(f"{operated.url}/deployments/deployment/{deployment['id']}/run")
    field = page.get_by_text("Exposure or association to calibrate")
    field.locator("xpath=following::textarea[1]").fill(str(exposure))
    field = page.get_by_text("Folder for the products")
    field.locator("xpath=following::*[text()='str'][1]").click()
    field.locator("xpath=following::textarea[1]").fill(str(operated.by_hand))
    with page.expect_response("**/create_flow_run") as answer:
        page.get_by_role("button", name="Submit").click()
    assert json.loads(answer.value.request.post_data)["parameters"]["input"] == str(exposure)
    run = answer.value.json()["id"]
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
    sees(page, "time-per-step", "quick-look-rate")
    picture(page, "artifacts")
    for key, texts in (
        ("parameters", ("rejection_threshold", "CRDS step file jwst_nircam_pars-jumpstep_")),
        ("references", ("jwst_nircam_superbias_0001.fits",)),
        ("products", ("_rate.fits",)),
    ):
        page.goto(f"{operated.url}/artifacts/artifact/{_artifact(operated, by_form, key)}")
        sees(page, *texts)
        picture(page, key)
    quick_look = _artifact(operated, by_form, "quick-look-rate")
    page.goto(f"{operated.url}/artifacts/artifact/{quick_look}")
    image = page.locator(".markdown-renderer img").first
    image.wait_for(state="visible")
    assert image.evaluate("image => image.naturalWidth") >= 200
    picture(page, "quick-look")


def _artifact(operated, run, key):
    only = {"flow_run_id": {"any_": [run]}}
    found = operated.ask("POST", "/artifacts/filter", artifacts=only)
    (artifact,) = (each for each in found if each["key"] == key)
    return artifact["id"]


def test_reprocess_shows_how_far_it_is_and_what_it_did(operated, page):
    (run,) = (each for each in operated.runs("reprocess") if "2 done" in _message(each))
    page.goto(f"{operated.url}/runs/flow-run/{run['id']}")
    sees(page, "reprocess · archive", "stale under")
    picture(page, "reprocess")
    progress = _artifact(operated, run["id"], "reprocessed")
    page.goto(f"{operated.url}/artifacts/artifact/{progress}")
    sees(page, "Of what is stale", "100")
    summary = f"{operated.url}/artifacts/artifact/{_artifact(operated, run['id'], 'reprocess')}"
    page.goto(summary)
    sees(page, "because of", "2 done, 0 failed, 0 left")
    picture(page, "summary")


def _message(run):
    return run["state"]["message"] or ""
