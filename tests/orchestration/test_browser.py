"""The form of calwebb_detector1 in a real browser, with nothing typed into it.

With a value typed it is in tests/operations/test_make_up.py.
"""

import json
import os
import subprocess
import sys
import time

import browser
import httpx
import pytest

browser.skip_without_browser()

SERVE = """
from stpipe_prefect import as_flow

detector1 = as_flow("calwebb_detector1")
if __name__ == "__main__":
    detector1.serve(name="form")
"""


class Server:
    """A Prefect server with its UI."""

    def __init__(self, api):
        self.api = api
        self.url = api.removesuffix("/api")

    def post(self, route, **query):
        for _ in range(60):
            answer = httpx.post(f"{self.api}{route}", json=query, timeout=60)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # SQLite is written to
                break
            time.sleep(1)
        return answer.raise_for_status().json()

    def deployments(self):
        return self.post("/deployments/filter", deployments={"name": {"any_": ["form"]}})

    def finished(self, run_id):
        """Wait for a run to end."""
        for _ in range(240):
            run = httpx.get(f"{self.api}/flow_runs/{run_id}").json()
            if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED"):
                assert run["state_type"] == "COMPLETED", run["state"]["message"]
                return run
            time.sleep(0.5)
        return pytest.fail("the run did not end within two minutes")

    def rows(self, run):
        only = {"flow_run_id": {"any_": [run["id"]]}, "key": {"any_": ["parameters"]}}
        (artifact,) = self.post("/artifacts/filter", artifacts=only)
        return json.loads(artifact["data"])


@pytest.fixture(scope="module")
def server(small, prefect_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    server = Server(prefect_url)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    environment = kept | {
        "CRDS_PATH": str(small.crds_path),
        "PREFECT_API_URL": prefect_url,
        "PREFECT_HOME": str(folder / "prefect"),
        "STPIPE_PREFECT_INPUT_ROOTS": str(small.program.exposures[0].parent),
    }
    (folder / "serve.py").write_text(SERVE)
    with (folder / "log").open("w") as log:
        serving = subprocess.Popen(
            [sys.executable, "serve.py"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(240):
            if server.deployments():
                break
            assert serving.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
        yield server
    finally:
        serving.terminate()
        serving.wait(120)


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


@pytest.fixture
def form(server, chromium, small):
    """Open the form, and type in nothing but the exposure."""
    (deployment,) = server.deployments()
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    page.goto(f"{server.url}/deployments/deployment/{deployment['id']}/run")
    field = page.get_by_text("Exposure or association to calibrate")
    field.locator("xpath=following::textarea[1]").fill(str(small.program.exposures[0]))
    yield page
    page.close()


def submit(page):
    """Start the run; return the parameters that the form sent, and the id of the run."""
    answer = browser.submitted(page)
    return json.loads(answer.request.post_data)["parameters"], answer.json()["id"]


@pytest.mark.slow
def test_untouched_form_resolves_as_no_parameters(server, form, small):
    exposure = str(small.program.exposures[0])
    parameters, run_id = submit(form)
    assert {name: value for name, value in parameters.items() if value} == {"input": exposure}
    rows = server.rows(server.finished(run_id))
    (deployment,) = server.deployments()
    bare = server.post(
        f"/deployments/{deployment['id']}/create_flow_run",
        parameters={"input": exposure, "overwrite": True},
        state={"type": "SCHEDULED"},
    )
    assert server.rows(server.finished(bare["id"])) == rows
    assert not any(row["source"] == "flow run" for row in rows)
