"""A CRDS server on this machine, for tests: JSON-RPC and files, over real sockets.

It serves a cache folder, counts what it is asked, and misbehaves on demand.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from crds.client.proxy import crds_encode

Manner = Callable[[BaseHTTPRequestHandler, bytes], None]


class LoopbackCrds:
    """A server of what is in `folder`.

    Attributes
    ----------
    url : value for ``CRDS_SERVER_URL``
    asked : how often for each file and each service
    times : when each file was asked for, and when it had been sent
    manners : how to answer a file or service instead of properly; by name, ``"*"`` for all
    build : context of the installed software, if not the operational one
    says : what differs in its description of itself, such as ``operational_context``
    """

    def __init__(self, folder: Path, observatory: str = "jwst") -> None:
        self.folder, self.observatory = folder, observatory
        self.asked: Counter[str] = Counter()
        self.times: dict[str, list[float]] = {}
        self.manners: dict[str, Manner] = {}
        self.build = ""
        self.says: dict[str, object] = {}
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                name = self.path.rpartition("/")[2]
                found = outer.file(name)
                outer.answer(self, name, found.read_bytes() if found else None)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service = getattr(outer, body["method"], None)
                reply = {"id": body["id"], "error": None, "result": None}
                if service is None:
                    reply["error"] = {"message": f"no service {body['method']}"}
                else:
                    reply["result"] = service(*body["params"])
                outer.answer(self, body["method"], json.dumps(reply).encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[LoopbackCrds]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, name: str, content: bytes | None) -> None:
        with self._lock:
            self.asked[name] += 1
            manner = self.manners.get(name) or self.manners.get("*") or properly
            self.times.setdefault(name, []).append(time.time())
        try:
            if content is None:
                handler.send_error(404)
            else:
                manner(handler, content)
        except OSError:
            pass  # whoever asked has gone
        self.times[name].append(time.time())

    def file(self, name: str) -> Path | None:
        return next(
            (p for top in ("references", "mappings") for p in (self.folder / top).rglob(name)), None
        )

    @property
    def files_asked(self) -> dict[str, int]:
        return {name: count for name, count in self.asked.items() if "." in name}

    @property
    def calls(self) -> int:
        return sum(count for name, count in self.asked.items() if "." not in name)

    # The services, as the real server has them.

    def get_server_info(self):
        config = self.folder / "config" / self.observatory / "server_config"
        info = eval(config.read_text())
        return (
            info
            | self.says
            | {
                "reference_url": {"unchecked": {self.observatory: f"{self.url}/unchecked"}},
                "mapping_url": {"unchecked": {self.observatory: f"{self.url}/unchecked"}},
                "download_metadata": crds_encode(
                    self.get_file_info_map(self.observatory, None, None)
                ),
            }
        )

    def get_file_info_map(self, observatory, files, fields):
        paths = [
            path
            for top in ("references", "mappings")
            for path in (self.folder / top / observatory).rglob("*.*")
            if path.is_file() and not path.name.startswith(".")
        ]
        return {
            path.name: {
                "size": str(path.stat().st_size),
                "sha1sum": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in paths
            if files is None or path.name in files
        }

    def get_mapping_names(self, context):
        return [path.name for path in (self.folder / "mappings" / self.observatory).glob("*.*map")]

    def get_build_context(self, observatory, version):
        return self.build or self.get_server_info()["operational_context"]

    def get_default_context(self, observatory, state=None):
        return self.get_server_info()["operational_context"]


def properly(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def slowly(seconds: float) -> Manner:
    """Take so long over it, in many pieces."""

    def manner(handler, content):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        pieces = 20
        step = len(content) // pieces + 1
        for start in range(0, len(content), step):
            time.sleep(seconds / pieces)
            handler.wfile.write(content[start : start + step])
            handler.wfile.flush()

    return manner


def silent(server: LoopbackCrds) -> Manner:
    """Accept, and never answer."""
    return lambda handler, content: (server.stopping.wait(120), None)[1]


def falling_silent(server: LoopbackCrds) -> Manner:
    """Send half, and then nothing more, without hanging up."""

    def manner(handler, content):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        server.stopping.wait(120)

    return manner


def garbage(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    properly(handler, b"<html>Down for maintenance</html>")


def half(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Hang up in the middle."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def corrupted(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Flip one byte in the middle."""
    middle = len(content) // 2
    properly(handler, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def refusing(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_error(503)


def once(first: Manner, then: Manner = properly) -> Manner:
    """Misbehave the first time only."""
    left = [first]
    return lambda handler, content: (left.pop() if left else then)(handler, content)


def deaf(server: LoopbackCrds) -> None:
    """Let nobody in any more: connections are refused."""
    server._server.socket.close()
