"""A server that is busy for a moment, asked by Prefect's real client; parts of it that are gone."""

import logging
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prefect
import pytest
from prefect import flow
from prefect.client.base import PrefectHttpxSyncClient
from prefect.flow_engine import BaseFlowRunEngine
from prefect.settings import PREFECT_API_URL, temporary_settings

from stpipe_prefect.orchestration import workarounds
from stpipe_prefect.orchestration.workarounds import PAUSES, patient_client


@pytest.fixture
def busy_twice() -> Iterator[str]:
    """Address of a server that refuses the first two requests."""
    statuses = [503, 503]

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_busy_server_is_asked_again_soon(busy_twice, caplog, monkeypatch):
    logger = logging.getLogger("prefect.client")  # the one above it hands nothing on to pytest
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    with (
        temporary_settings({PREFECT_API_URL: busy_twice}),
        caplog.at_level(logging.DEBUG, logger.name),
        patient_client() as client,
    ):
        assert client.hello().status_code == 200
    waits = [float(wait) for wait in re.findall(r"will be made in ([\d.]+)s", caplog.text)]
    assert len(waits) == 2
    assert all(wait < 2 * pause for wait, pause in zip(waits, PAUSES, strict=False))


@pytest.fixture
def said(caplog, monkeypatch):
    workarounds.say_missing.cache_clear()
    yield lambda: [record.message for record in caplog.records if "any more" in record.message]
    workarounds.say_missing.cache_clear()


def test_a_client_without_the_patched_part_is_said_once(said, monkeypatch):
    monkeypatch.setattr(PrefectHttpxSyncClient, "send", lambda self, request: None)
    for _ in range(2):
        workarounds.ask_again_if_lost("http://127.0.0.1:1/api")
    (message,) = said()
    assert "has no PrefectHttpxSyncClient._has_connected any more" in message


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("prefect.events.worker", workarounds.send_what_is_queued),
        ("prefect.server.database.configurations", workarounds.begin_as_writers),
    ],
)
def test_a_module_that_is_gone_is_said_once(said, monkeypatch, module, use):
    monkeypatch.setitem(sys.modules, module, None)
    use()
    use()
    (message,) = said()
    assert f"has no {module} any more" in message


def test_handlers_that_are_gone_are_said_once(said, monkeypatch):
    monkeypatch.setattr(logging.getLogger("prefect.extra"), "handlers", [])
    assert workarounds.handlers_for_steps() == workarounds.handlers_for_steps() == []
    assert len(said()) == 1


def test_migrations_that_are_gone_refuse_no_database(said, monkeypatch, tmp_path):
    monkeypatch.setattr(prefect, "__file__", str(tmp_path / "__init__.py"))
    assert workarounds.is_known_revision("a")
    assert workarounds.is_known_revision("b")
    assert len(said()) == 1


def test_a_run_does_not_wait_for_the_thread_of_its_heartbeats(prefect_url, monkeypatch):
    senders, joined, join = [], [], threading.Thread.join

    def send(*_):
        senders.append(threading.current_thread())
        begun.set()

    def noted(thread, timeout=None):
        joined.append(thread)
        join(thread, timeout)

    begun = threading.Event()
    monkeypatch.setattr(BaseFlowRunEngine, "_emit_flow_run_heartbeat", send)
    monkeypatch.setattr(threading.Thread, "join", noted)
    workarounds.leave_heartbeats()
    changes = {"api.url": prefect_url, "flows.heartbeat_frequency": 30}
    with workarounds.changed_settings(changes):
        assert flow(name="beating", persist_result=False)(lambda: begun.wait(60))()
        workarounds.send_what_is_queued()
    assert senders and senders[0] not in joined


def test_nothing_is_gone_from_this_prefect(said):
    workarounds.leave_heartbeats()
    workarounds.ask_again_if_lost("http://127.0.0.1:1/api")
    assert workarounds.handlers_for_steps()
    assert not workarounds.is_known_revision("nobody's")
    assert said() == []
