"""A flow run that is part of another one, though in a process of its own."""

from __future__ import annotations

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
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import get_current_settings
from pydantic import SecretStr

from ..execution.events import as_message, listening
from ..execution.processes import Tell
from ..execution.results import Ended
from ..outcomes import Outcome
from ..warm.child import said_if_left_alone
from ..warm.messages import Message
from .artifacts import recording_for_batch
from .closing import close_flow_run
from .deployments import RUN_OF_DEPLOYMENT, in_deployment
from .server import is_plain_loopback
from .workarounds import (
    ONE_CERTIFICATE,
    ask_again_if_lost,
    changed_settings,
    leave_heartbeats,
    run_within,
    send_what_is_queued,
)

FUNCTION = f"{__name__}:run_subflow"

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


def subflow(flow: str, parameters: Mapping[str, Any], *, parent: str, in_batch: bool) -> Message:
    """Put in writing which flow a process of its own is to run, and where to report to.

    The flow is ``"module:name"``, `parent` the task run in whose place its run is shown; for
    `in_batch` see `stpipe_prefect.orchestration.artifacts`.
    """
    settings = get_current_settings()
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return {
        "flow": flow,
        "parameters": dict(parameters),
        "parent": parent,
        "in_batch": in_batch,
        "settings": {name: _revealed(attrgetter(name)(settings)) for name in _SETTINGS},
        "of": str(run.id) if run else "",
        "in_deployment": in_deployment(),
        "quiet": os.environ.get(_CONSOLE) == "CRITICAL",
    }


def run_subflow(message: Message, tell: Tell) -> None:
    """Run what `subflow` has put in writing; send the id of its run, and what it reports."""
    flow: Flow[..., Any] = resolve_name(message["flow"])
    if message["in_deployment"]:
        os.environ.setdefault(RUN_OF_DEPLOYMENT, message["of"])

    def when_recorded(run: FlowRun) -> None:
        tell({"flow_run": str(run.id)})
        runs = [each for each in (str(run.id), message["of"]) if each]
        said_if_left_alone(partial(copy_context().run, _close_as_lost, runs))

    with (
        _surroundings(message),
        recording_for_batch(message["in_batch"]),
        listening(lambda event: tell(as_message(event))),
    ):
        try:
            run_within(UUID(message["parent"]), flow, message["parameters"], when_recorded)
        finally:
            send_what_is_queued()  # it would go with the process


def _close_as_lost(flow_runs: list[str]) -> None:
    lost = Ended(Outcome.CRASHED, "the process that started it was killed")
    with changed_settings({"client.max_retries": 0}):
        for flow_run in flow_runs:
            close_flow_run(flow_run, lost)


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@contextmanager
def _surroundings(message: Message) -> Iterator[None]:
    """Report to the parent's server, and print as much as it does."""
    output = StringIO()
    settings = message["settings"]
    ask_again_if_lost(str(settings["api.url"]))
    leave_heartbeats()
    if is_plain_loopback(str(settings["api.url"])):
        settings = settings | {"api.ssl_cert_file": str(ONE_CERTIFICATE)}
    secrets = {name: SecretStr(settings[name]) for name in _SECRETS if settings[name]}
    with (
        changed_settings(settings | secrets),
        redirect_stdout(output) if message["quiet"] else nullcontext(),
        redirect_stderr(output) if message["quiet"] else nullcontext(),
    ):
        yield
