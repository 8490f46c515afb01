"""A flow run that is part of another one, though in a process of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from contextvars import copy_context
from functools import partial
from io import StringIO
from operator import attrgetter
from pkgutil import resolve_name
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.flow_engine import run_flow
from prefect.settings import get_current_settings
from prefect.states import Crashed, Failed, Pending
from pydantic import SecretStr

from ..exceptions import reason
from ..execution.events import as_message, listening
from ..execution.processes import Message, Tell, said_if_left_alone
from ..execution.results import Ended
from ..outcomes import Outcome
from .artifacts import recording_for_batch
from .deployments import RUN_OF_DEPLOYMENT, in_deployment
from .prefect_settings import changed_settings
from .retries import ask_again_if_lost, patient_client
from .server import send_what_is_queued

FUNCTION = f"{__name__}:run_as_told"

_SETTINGS = (
    "api.url",
    "api.ssl_cert_file",
    "api.tls_insecure_skip_verify",
    "api.key",
    "api.auth_string",
    "client.csrf_support_enabled",
    "client.custom_headers",
    "client.server_version_check_enabled",
    "flows.heartbeat_frequency",
    "logging.to_api.max_log_size",
    "ui_url",
)
"""What says where the server is and how to get in, or follows from it; on another machine it may
not be set. The rest is what `stpipe_prefect.orchestration.server.prefect_api` changes."""

_SECRETS = ("api.key", "api.auth_string")
_CONSOLE = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


def subflow(flow: str, parameters: Mapping[str, Any], *, parent: UUID, in_batch: bool) -> Message:
    """Put in writing which flow a process of its own is to run, and where to report to.

    Parameters
    ----------
    flow : str
        ``"module:name"``.
    parameters : mapping
        What JSON can hold.
    parent : uuid.UUID
        The task run in whose place the flow run is shown.
    in_batch : bool
        Whether the exposure is one of a batch, of which Prefect records less.
    """
    settings = get_current_settings()
    run = FlowRunContext.get()
    return {
        "flow": flow,
        "parameters": dict(parameters),
        "parent": str(parent),
        "in_batch": in_batch,
        "settings": {name: _revealed(attrgetter(name)(settings)) for name in _SETTINGS},
        "of": str(run.flow_run.id) if run and run.flow_run else "",
        "of_deployment": str(run.flow_run.id) if run and run.flow_run and in_deployment() else "",
        "quiet": os.environ.get(_CONSOLE) == "CRITICAL",
    }


def run_as_told(told: Message, tell: Tell) -> None:
    """Run what `subflow` has put in writing.

    Parameters
    ----------
    told : dict
    tell : callable
        Is sent the id of the flow run, as ``"flow_run"``, and what the flow reports.

    Raises
    ------
    BaseException
        What stopped the flow.
    """
    flow: Flow[..., Any] = resolve_name(told["flow"])
    if told["of_deployment"]:
        os.environ.setdefault(RUN_OF_DEPLOYMENT, told["of_deployment"])
    with (
        _surroundings(told),
        recording_for_batch(told["in_batch"]),
        listening(lambda event: tell(as_message(event))),
        patient_client() as client,
    ):
        try:
            run = client.create_flow_run(
                flow,
                parameters=told["parameters"],
                parent_task_run_id=UUID(told["parent"]),
                state=Pending(),
            )
            tell({"flow_run": str(run.id)})
            runs = [each for each in (str(run.id), told["of"]) if each]
            said_if_left_alone(partial(copy_context().run, _close_as_lost, runs))
            run_flow(flow, flow_run=run, parameters=told["parameters"])
        finally:
            send_what_is_queued()  # it would go with the process


def close_flow_run(flow_run: str, ended: Ended) -> None:
    """Have the server know how a flow run ended whose process could not say so itself."""
    make = Crashed if ended.outcome is Outcome.CRASHED else Failed
    state: State[None] = make(name=ended.outcome, message=ended.error)
    try:
        with get_client(sync_client=True) as client:
            if not (client.read_flow_run(UUID(flow_run)).state or state).is_final():
                client.set_flow_run_state(UUID(flow_run), state, force=True)
    except Exception as error:  # the run is over all the same
        logging.getLogger("prefect.extra").warning(
            "Flow run %s could not be marked as %s: %s", flow_run, ended.outcome, reason(error)
        )


def _close_as_lost(flow_runs: list[str]) -> None:
    lost = Ended(Outcome.CRASHED, "the process that started it was killed")
    with changed_settings({"client.max_retries": 0}):
        for flow_run in flow_runs:
            close_flow_run(flow_run, lost)


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@contextmanager
def _surroundings(told: Message) -> Iterator[None]:
    """Report to the parent's server, and print as much as it does."""
    output = StringIO()
    ask_again_if_lost(str(told["settings"]["api.url"]))
    settings = told["settings"] | {
        name: SecretStr(told["settings"][name]) for name in _SECRETS if told["settings"][name]
    }
    with (
        changed_settings(settings),
        redirect_stdout(output) if told["quiet"] else nullcontext(),
        redirect_stderr(output) if told["quiet"] else nullcontext(),
    ):
        yield
