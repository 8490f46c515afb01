"""What a service answers without its credentials, and with them."""

import json
import os
import subprocess
import sys

import httpx
import pytest
from composed import CREDENTIALS
from lantern.model import Row
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PROBES = {"/health", "/ready"}  # for who keeps the server running: they say nothing else

RUN = """
from lantern.pipelines import CalibratePipeline
from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import StpipePrefectError

try:
    as_flow(CalibratePipeline)("one_raw.row", output_dir="out")
except StpipePrefectError as error:
    raise SystemExit(str(error))
"""


@pytest.fixture
def run(service, mission, new_prefect_home):
    """Run a flow from Python, as a person does, with some environment; gives what it said."""

    def run(**environment):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        home = {"PREFECT_HOME": str(new_prefect_home())}
        return subprocess.run(
            [sys.executable, "-c", RUN],
            env=inherited | {"PYTHONPATH": os.pathsep.join(sys.path)} | home | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("credentials", [None, ("calibration", "guessed"), ("", "")])
def test_nothing_is_answered_without_credentials(service, credentials):
    paths = service.ask("GET", "/openapi.json")["paths"]
    assert len(paths) > 100
    base_url = service.url  # what some versions of Prefect prefix the paths with as well
    if all(path.startswith("/api/") for path in paths):
        base_url = service.url.removesuffix("/api")
    with httpx.Client(base_url=base_url, auth=credentials) as client:
        answered = {
            path
            for path, methods in paths.items()
            for method in methods
            if client.request(method, path).status_code != httpx.codes.UNAUTHORIZED
        }
    assert {path.removeprefix("/api") for path in answered} == PROBES


@pytest.mark.parametrize("route", ["/events/in", "/events/out", "/logs/out"])
@pytest.mark.parametrize("first", [None, {"type": "auth", "token": "guessed"}])
def test_no_socket_is_held_open_without_credentials(service, route, first):
    address = service.url.replace("http", "ws") + route
    with connect(address, subprotocols=["prefect"]) as socket:
        socket.send(json.dumps(first or {"type": "filter", "filter": {}}))
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_run_from_python_with_credentials(service, run):
    done = run(PREFECT_API_URL=service.url, PREFECT_API_AUTH_STRING=CREDENTIALS)
    assert done.returncode == 0, done.stderr
    assert Row.open("out/one_cal.row").data == [0.0, 4.5, 24.5, 0.0]
    flows = service.ask("POST", "/flows/filter", {})
    assert "lantern_calibrate" in {flow["name"] for flow in flows}


@pytest.mark.parametrize("credentials", ["", "calibration:guessed"])
def test_run_from_python_without_says_what_to_set(service, run, credentials):
    done = run(PREFECT_API_URL=service.url, PREFECT_API_AUTH_STRING=credentials)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"The Prefect server at {service.url}/ requires valid credentials: "
        "set PREFECT_API_AUTH_STRING to user:password"
    )


def test_embedded_server_is_protected_as_the_environment_says(run):
    done = run(
        PREFECT_SERVER_API_AUTH_STRING="some:body",
        PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED="true",
    )
    assert done.returncode == 0, done.stderr
