"""A server that is busy for a moment, asked by Prefect's real client."""

import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from stpipe_prefect.orchestration.retries import PAUSES, patient_client


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
