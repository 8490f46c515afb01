"""One real run of calwebb_detector1 as a flow, looked at through the server's API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest


@pytest.fixture(scope="session")
def crds_path(small) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CRDS_SERVER_URL", raising=False)
        patch.delenv("CRDS_CONTEXT", raising=False)
        patch.setenv("CRDS_PATH", str(small.crds_path))
        yield small.crds_path


@dataclass(frozen=True)
class Run:
    """A finished flow run."""

    id: UUID
    state: Any
    products: Path

    def tasks(self) -> dict[str, Any]:
        """Task runs by name; where a step ran twice, the last."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[self.id]))
            )
        return {run.name: run for run in sorted(runs, key=lambda run: run.start_time)}

    def get(self, route: str, query: dict[str, Any]) -> Any:
        """Ask the server's API."""
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return client._client.post(route, json=query).raise_for_status().json()


def wait_until_recorded() -> None:
    """Return when the server has recorded what it was sent: the last task run, so all before."""
    from prefect import task
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from stpipe_prefect.orchestration.workarounds import changed_settings, send_what_is_queued

    with changed_settings({"logging.to_api.when_missing_flow": "ignore"}):
        last = task(lambda: None, name="last")(return_state=True).state_details.task_run_id
    send_what_is_queued()
    deadline = time.monotonic() + 120
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            with suppress(ObjectNotFound):
                if (state := client.read_task_run(last).state) and state.is_final():
                    return
            time.sleep(0.1)
    raise TimeoutError("the server does not record")


@pytest.fixture(scope="session")
def run_flow(prefect_server, crds_path, tmp_path_factory):
    """Run a pipeline as a flow and return when the server has recorded all of it."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from stpipe_prefect import as_flow

    def run(pipeline: Any, *args: Any, **kwargs: Any) -> Run:
        folder = tmp_path_factory.mktemp("products")
        state = as_flow(pipeline)(*args, output_dir=folder, return_state=True, **kwargs)
        wait_until_recorded()
        return Run(state.state_details.flow_run_id, state, folder)

    with temporary_settings({PREFECT_API_URL: PREFECT_API_URL.value()}):
        yield run


@pytest.fixture(scope="session")
def detector1_run(run_flow, small) -> Run:
    run = run_flow(
        "calwebb_detector1",
        small.program.exposures[0],
        steps={"jump": {"rejection_threshold": 7.0}},
    )
    assert run.state.is_completed(), run.state.message
    return run
