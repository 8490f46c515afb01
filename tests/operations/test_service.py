"""A service as docker/compose.yaml describes it: whom it answers, and what it survives."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from composed import CREDENTIALS
from databases import programs_of_postgres
from lantern.model import Row
from machine import until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
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
def run(user, mission):
    """Run a flow from Python, as a person does, with some environment; gives what it said."""

    def run(**environment):
        changed = user | {"CRDS_PATH": os.environ["CRDS_PATH"]} | environment
        return subprocess.run(
            [sys.executable, "-m", "run_code", RUN],
            env={name: value for name, value in changed.items() if value is not None},
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
            socket.recv(timeout=60)


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


def test_embedded_server_is_protected_as_the_environment_says(run, new_prefect_home):
    done = run(
        PREFECT_API_URL=None,
        PREFECT_HOME=str(new_prefect_home()),
        PREFECT_SERVER_API_AUTH_STRING="some:body",
        PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED="true",
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def deployment(service):
    """A small flow, one step of which waits for a file `go` in the folder of the run."""
    entrypoint = Path(__file__).with_name("gated.py")
    service.run(
        "worker",
        *("prefect", "--no-prompt", "deploy", f"{entrypoint}:gated"),
        *("--name", "test", "--pool", "process"),
    )
    return service.ask("GET", "/deployments/name/lantern_gated/test")


class Run:
    """A flow run, asked of the server."""

    def __init__(self, service, deployment):
        self.service = service
        parameters = {"input": "one_raw.row", "steps": {"clip": {"high": 30}}}
        made = service.ask(
            "POST",
            f"/deployments/{deployment['id']}/create_flow_run",
            {"parameters": parameters},
        )
        self.id = made["id"]
        self.only = {"flow_runs": {"id": {"any_": [self.id]}}}

    def state(self):
        return self.service.ask("GET", f"/flow_runs/{self.id}")["state"]

    def lines(self):
        """All that the run has logged."""
        query = {"logs": {"flow_run_id": {"any_": [self.id]}}, "sort": "TIMESTAMP_ASC"}
        found = []
        while page := self.service.ask(
            "POST", "/logs/filter", query | {"offset": len(found), "limit": 200}
        ):
            found += page
        return [line["message"] for line in found]

    def tasks(self):
        found = self.service.ask("POST", "/task_runs/filter", self.only)
        return {run["name"]: run["state_type"] for run in found}

    def artifacts(self):
        query = {"artifacts": {"flow_run_id": {"any_": [self.id]}}}
        return {a["key"] for a in self.service.ask("POST", "/artifacts/filter", query)}

    def ended(self):
        state = self.state()
        return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None


def numbers(lines):
    return [int(line.split()[1]) for line in lines if line.startswith("waiting ")]


def test_worker_makes_the_work_pool_from_the_template(service):
    template = json.loads((ROOT / "deployments/work-pool.json").read_text())
    pool = service.ask("GET", "/work_pools/process")
    assert pool["base_job_template"] == template


def test_metrics_for_prometheus(service):
    address = f"{service.url}/metrics"
    assert httpx.get(address).status_code == httpx.codes.UNAUTHORIZED
    answer = httpx.get(address, auth=tuple(CREDENTIALS.split(":")))
    assert answer.headers["content-type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in answer.text


def test_backup_of_the_database_is_restored(service, postgres_server, tmp_path):
    """With the commands of docs/howto-operate.md, into another database of the same server."""
    connection = postgres_server.replace("+asyncpg", "")
    programs = programs_of_postgres()

    def psql(database, query):
        where = connection.rsplit("/", 1)[0] + f"/{database}"
        command = [programs / "psql", where, "-Atc", query]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()

    service.ask("POST", "/variables/", {"name": "kept", "value": "in the backup"})
    backup = tmp_path / "prefect.dump"
    for command in (
        [programs / "pg_dump", "--format=custom", f"--file={backup}", connection],
        [programs / "createdb", f"--maintenance-db={connection}", "restored"],
        [
            *(programs / "pg_restore", "--exit-on-error", "--no-owner"),
            f"--dbname={connection.rsplit('/', 1)[0]}/restored",
            backup,
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for query in (
        "select count(*) from pg_tables where schemaname = 'public'",
        "select version_num from alembic_version",
        "select name, value from variable",
        "select name, type from work_pool order by name",
        "select count(*) from block_type",
    ):
        assert psql("restored", query) == psql("postgres", query) != []


@pytest.mark.slow
def test_run_does_not_notice_that_the_server_is_restarted(service, deployment):
    run = Run(service, deployment)
    until(lambda: numbers(run.lines()), "a run by the worker")
    service.stop("server")
    time.sleep(3)
    (service.folder / "go").touch()  # the steps that follow begin and end with no server there
    time.sleep(3)
    service.start("server")
    service.wait_for_server()
    state = until(run.ended, "end of the run")
    assert state["type"] == "COMPLETED", (state, service.log("worker"))
    assert Row.open(service.folder / "one_cal.row").data == [0.0, 9.0, 30.0, 30.0]

    said = int((service.folder / "said").read_text())
    assert said > 30
    until(lambda: len(numbers(run.lines())) >= said, f"{said} lines")
    assert numbers(run.lines()) == list(range(said))
    steps = {"dark", "gate", "clip", "prefetch dark"}
    until(lambda: set(run.tasks()) >= steps, "task runs")
    until(lambda: set(run.tasks().values()) == {"COMPLETED"}, "states of the task runs")
    assert run.artifacts() >= {"parameters", "products"}
