"""What reaches into parts of Prefect that it does not document, each with its reason.

All of it holds for Prefect 3.8 and 3.9. Where a part that is changed or read is gone, the log says
once what is lost with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import prefect
from prefect import Flow, flow_engine
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import SettingsContext, TaskRunContext, get_settings_context
from prefect.flow_engine import run_flow
from prefect.settings import get_current_settings
from prefect.states import Pending

from ..workarounds import say_missing

ONE_CERTIFICATE = Path(__file__).with_name("nobody.pem")
"""For clients that speak plain HTTP: they read all authorities of the system, 0.05 s each, before
they need one (https://github.com/PrefectHQ/prefect/pull/19106, encode/httpx#2298)."""

PAUSES = (0.05, 0.2, 0.8)
"""Seconds until a request to a busy server is made again, the first times."""

SENT = 20.0
"""Seconds that a run waits at its end for what it has to tell the server to be sent."""

_answered: set[str] = set()


@contextmanager
def changed_settings(changes: Mapping[str, Any]) -> Iterator[None]:
    """Change some settings of Prefect within the block, by paths such as ``"api.url"``.

    The public ``temporary_settings`` reads the environment and all files of settings again:
    0.04 s for every exposure, against 0.0002 s. It also derives ``"ui_url"`` from ``"api.url"``,
    and the embedded server has no UI.
    """
    context = get_settings_context()
    settings = context.settings
    for path, value in changes.items():
        settings = _changed(settings, path.split("."), value)
    with SettingsContext(profile=context.profile, settings=settings):
        yield


def _changed(settings: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    new = _changed(getattr(settings, name), rest, value) if rest else value
    return settings.model_copy(update={name: new})


def patient_client() -> SyncPrefectClient:
    """Make a client for what an exposure waits for.

    A server on SQLite answers with 503 when another transaction has written between the reading
    and the writing of this one: that is over in milliseconds. Prefect's clients ask again after
    2 s and then ever later, or as the answer says; here it says so three times
    (https://github.com/PrefectHQ/prefect/issues/18934).
    """

    def ask_again_soon(response: httpx.Response) -> None:
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return
        refused = response.request.extensions.get("refused", 0)
        response.request.extensions["refused"] = refused + 1
        if refused < len(PAUSES):
            response.headers.setdefault("Retry-After", str(PAUSES[refused]))

    return get_client(
        sync_client=True, httpx_settings={"event_hooks": {"response": [ask_again_soon]}}
    )


def ask_again_if_lost(api_url: str) -> None:
    """Have all clients ask a server that has answered again, for a minute, if nobody listens.

    A server that is killed is started again, in the same place. Prefect's clients wait for that
    only if they have got through before, each for itself, and an exposure makes several
    (https://github.com/PrefectHQ/prefect/issues/20462).
    """
    _answered.add(api_url.rstrip("/"))
    for kind in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        if "_has_connected" not in kind.send.__code__.co_names:
            say_missing(
                "Prefect", f"{kind.__name__}._has_connected", "runs end if their server restarts"
            )
        kind._has_connected = _HAS_CONNECTED  # type: ignore[assignment]


def _has_connected(client: Any) -> bool:
    """Tell whether a client has got through, or another one has to the same server."""
    return vars(client).get("_got_through", False) or str(client.base_url).rstrip("/") in _answered


def _remember(client: Any, value: bool) -> None:
    vars(client)["_got_through"] = value


_HAS_CONNECTED = property(_has_connected, _remember)


def leave_heartbeats() -> None:
    """Have flow runs end without waiting for the thread that sends their heartbeats.

    It looks once a second whether its run is over, and Prefect waits for that at the end of every
    run. Left alone it ends a moment later, or with the process.
    """
    send = getattr(flow_engine, "_send_heartbeats", None)
    if send is None or "join_on_exit" not in signature(send).parameters:
        say_missing("Prefect", "_send_heartbeats(join_on_exit)", "runs end up to a second later")
    elif not isinstance(send, partial):
        vars(flow_engine)["_send_heartbeats"] = partial(send, join_on_exit=False)


def send_what_is_queued() -> None:
    """Wait until task runs and logs are sent; what is not after some seconds is given up.

    They travel in queues that are emptied as the interpreter ends: a process of an exposure does
    not come to that, and who looks at a run that is over expects to find all of it
    (https://github.com/PrefectHQ/prefect/issues/15866).
    """
    try:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
    except ImportError as error:
        say_missing(
            "Prefect", str(error.name), "the last task runs and log lines may not be recorded"
        )
        return
    with ThreadPoolExecutor(max_workers=1) as thread:
        # In the thread of an event loop, as in a notebook, Prefect would not wait for them.
        for queue in (EventsWorker, APILogWorker):
            thread.submit(queue.drain_all, timeout=SENT).result()


def record_task_run() -> None:
    """Have the server know of this task run before a flow run refers to it.

    What it hears of task runs otherwise waits in queues
    (https://github.com/PrefectHQ/prefect/issues/15153).
    """
    context = TaskRunContext.get()
    assert context is not None
    run = context.task_run
    with patient_client() as client:
        client.create_task_run(
            context.task,
            flow_run_id=run.flow_run_id,
            dynamic_key=run.dynamic_key,
            id=run.id,
            name=run.name,
            state=run.state,
        )


def run_within(
    task_run: UUID,
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    when_recorded: Callable[[FlowRun], None],
) -> None:
    """Run a flow as part of a task run of another process.

    Prefect knows no way to attach a flow to a run elsewhere
    (https://github.com/PrefectHQ/prefect/issues/9527).
    """
    with patient_client() as client:
        run = client.create_flow_run(
            flow, parameters=parameters, parent_task_run_id=task_run, state=Pending()
        )
    when_recorded(run)
    run_flow(flow, flow_run=run, parameters=parameters)


def handlers_for_steps() -> list[logging.Handler]:
    """Give the handlers that Prefect has for loggers of others.

    Its setting for these, ``logging.extra_loggers``, is read once, at import, and would keep the
    loggers of all missions for itself (https://github.com/PrefectHQ/prefect/issues/15370).
    """
    handlers = logging.getLogger("prefect.extra").handlers
    if not handlers:
        say_missing("Prefect", "handler of prefect.extra", "flow runs do not show what steps log")
    return handlers


def begin_as_writers() -> None:
    """Have transactions of the server on SQLite begin as writers, and wait for one another.

    Prefect's begin as readers, and SQLite refuses to let one write if another has done so
    meanwhile; a client that gets a 503 for it asks again only after seconds
    (https://github.com/PrefectHQ/prefect/issues/18934).
    """
    url = get_current_settings().server.database.connection_url
    if url is None or not url.get_secret_value().startswith("sqlite"):
        return
    try:
        from prefect.server.database.configurations import AioSqliteConfiguration
        from prefect.server.database.dependencies import set_database_config

        begin = AioSqliteConfiguration.begin_transaction
    except (ImportError, AttributeError) as error:
        say_missing(
            "Prefect", str(error.name), "the embedded server is slow with many exposures at a time"
        )
        return

    class Waiting(AioSqliteConfiguration):
        def begin_transaction(self, session: Any, with_for_update: bool = True) -> Any:
            return begin(self, session, with_for_update=True)

    set_database_config(Waiting(connection_url=url.get_secret_value()))


def is_known_revision(version: str) -> bool:
    """Tell whether this Prefect has heard of the version of an SQLite database.

    A server does not start on one of a newer Prefect
    (https://github.com/PrefectHQ/prefect/issues/10778).
    """
    folder = Path(prefect.__file__).parent / "server/database/_migrations/versions/sqlite"
    files = list(folder.glob("*.py"))
    if not files:
        say_missing("Prefect", folder.name, "a database of a newer Prefect is not recognized")
    return not files or any(f'revision = "{version}"' in file.read_text() for file in files)


def take_environment(changed: Collection[str]) -> None:
    """Have Prefect act on variables that differ from those it was imported with.

    It reads its settings, and what it logs where, once.
    """
    if not any(name.startswith(("PREFECT_", "DO_NOT_TRACK")) for name in changed):
        return
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    refresh_global_settings_context()
    setup_logging(incremental=False)
