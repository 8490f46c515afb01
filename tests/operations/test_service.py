"""A service as docker/compose.yaml describes it: what it survives."""

import json
import time
from pathlib import Path

import pytest
from lantern.model import Row

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


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


def until(condition, what):
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS:.0f} s"
        time.sleep(0.2)
    return found


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
