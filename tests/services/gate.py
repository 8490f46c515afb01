"""What stands before an object store, and kills who asks it at a moment of choice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HOP = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")


class Gate:
    """Passes requests on, until `limit` uploads have gone through it: then their process ends.

    Attributes
    ----------
    url : value for ``AWS_ENDPOINT_URL``
    uploads : how many have gone through
    process : who is to be killed
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.uploads = 0
        self.limit: int | None = None
        self.process = 0
        self._lock = threading.Lock()

    def opens(self, method: str) -> bool:
        """Let a request through, or end who sent it."""
        with self._lock:
            if method == "PUT" and self.uploads == self.limit:
                with suppress(ProcessLookupError):  # it ended with an earlier request
                    os.kill(self.process, signal.SIGKILL)
                return False
            self.uploads += method == "PUT"
            return True


@contextmanager
def gate(target: str) -> Iterator[Gate]:
    """Stand before a server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not made.opens(self.command):
                self.close_connection = True
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            answer = client.request(
                self.command, f"{target}{self.path}", headers=headers, content=body
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in (*HOP, "content-encoding"):
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length", len(answer.content))
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Gate(f"http://127.0.0.1:{server.server_port}")
    with httpx.Client(timeout=60) as client:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
        server.server_close()
