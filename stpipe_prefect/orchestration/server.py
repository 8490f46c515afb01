"""The Prefect server a run reports to: the configured one, or one embedded in the process.

The embedded server is Prefect's own application in a child process, on a free port of the
loopback interface, with the user's usual Prefect database. Of its services only those run that
record a local run; it asks nobody outside and ends with the process that started it.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ..exceptions import StpipePrefectError

STARTUP_SECONDS = 120.0  # a first start makes the database: 9 s on two idle cores
DRAIN_SECONDS = 20.0

UNAUTHORIZED = 401

RECORDING = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""How a server of one machine records task runs: many at a time, not one by one as by default."""

LEAN_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    **RECORDING,
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
"""What a local run does without, in the words of Prefect's settings."""


class EmbeddedServer:
    """Prefect's server in a child process.

    Attributes
    ----------
    api_url : str
        Where it answers, once `wait` has returned.
    """

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._answered = False
        self._started_by = os.getpid()
        # The listening socket is made here and handed down: the port is known at once, and no
        # other process can take it meanwhile.
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.api_url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.embedded", str(listener.fileno())],
                env=os.environ | LEAN_SETTINGS,
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,  # held open: its end tells the server to stop
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the run, which still has to report
            )

    def wait(self) -> None:
        """Return when the server answers.

        Raises
        ------
        StpipePrefectError
            It ended, or did not answer in time.
        """
        import httpx

        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline and not self._has_ended():
            try:
                if httpx.get(f"{self.api_url}/health", timeout=STARTUP_SECONDS).is_success:
                    self._answered = True
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise StpipePrefectError(
            "The embedded Prefect server did not start; see why with `prefect server start`, "
            "or set PREFECT_API_URL to a running one"
        )

    def _has_ended(self) -> bool:
        """Tell whether its process is gone; only that which started it can be told so."""
        return os.getpid() == self._started_by and self._process.poll() is not None

    def stop(self) -> None:
        """Tell the server to end; it does so by itself, and the process need not wait."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self._answered:  # still starting, and nothing was asked of it
            self._process.kill()


@cache
def embedded_server() -> EmbeddedServer:
    """Start the embedded server, once in a process; it stops as the process ends."""
    server = EmbeddedServer()
    atexit.register(server.stop)
    return server


def server_is_configured() -> bool:
    """Tell whether the environment or the Prefect profile names a server."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


@contextmanager
def prefect_api() -> Iterator[None]:
    """Have a Prefect server to report to within the block.

    A flow run that Python calls directly sends no heartbeats: nobody would act on their
    absence, and Prefect spends a second at the end of every run on ending their thread. Runs
    that a worker starts, and those within them, keep them.

    Raises
    ------
    StpipePrefectError
        The configured server does not answer, or the embedded one did not start.
    """
    from prefect.settings import get_current_settings

    from .deployments import in_deployment
    from .prefect_settings import changed_settings

    settings = get_current_settings()
    changes: dict[str, Any] = {}
    server = None
    if server_is_configured():
        _check_server()
    else:
        server = embedded_server()
        server.wait()
        changes |= {
            "api.url": server.api_url,
            "api.ssl_cert_file": str(Path(__file__).with_name("nobody.pem")),
            # Two questions of Prefect's clients; the answers are known.
            "client.csrf_support_enabled": settings.server.api.csrf_protection_enabled,
            "client.server_version_check_enabled": False,
        }
        if (credentials := settings.server.api.auth_string) is not None:
            # Meant for servers started here, it holds for the embedded one as well.
            changes["api.auth_string"] = credentials
    if settings.flows.heartbeat_frequency is not None and not in_deployment():
        changes["flows.heartbeat_frequency"] = None
    with changed_settings(changes):
        try:
            yield
        finally:
            if server is not None:
                drain(since=server.started)


def _check_server() -> None:
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext

    if FlowRunContext.get() is not None:  # a flow within a flow: the outer one got through
        return
    with get_client(sync_client=True) as client:
        try:
            client.read_flows(limit=1)  # the health check would not ask for credentials
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", None) == UNAUTHORIZED:
                problem = (
                    f"The Prefect server at {client.api_url} refuses these credentials, or asks "
                    "for some: set PREFECT_API_AUTH_STRING to user:password"
                )
            else:
                problem = (
                    f"No Prefect server answers at {client.api_url}: start it, or unset "
                    "PREFECT_API_URL to use an embedded one"
                )
            raise StpipePrefectError(problem) from error


def drain(since: datetime) -> None:
    """Wait until the server has recorded what was sent to it, at most some seconds.

    Task runs and logs travel in queues of their own; a run's end does not wait for them.

    Parameters
    ----------
    since : datetime.datetime
        Task runs that began before are left out of account.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        TaskRunFilter,
        TaskRunFilterStartTime,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    with ThreadPoolExecutor(max_workers=1) as thread:
        # In the thread of an event loop, as in a notebook, Prefect would not wait for them.
        for queue in (EventsWorker, APILogWorker):
            thread.submit(queue.drain_all, timeout=DRAIN_SECONDS).result()
    unfinished = TaskRunFilter(
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING])),
        start_time=TaskRunFilterStartTime.model_validate({"after_": since}),
    )
    deadline = time.monotonic() + DRAIN_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            if not client.read_task_runs(task_run_filter=unfinished, limit=1):
                return
            time.sleep(0.1)
