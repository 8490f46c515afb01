"""An object store: moto's S3 server in a process of its own, and what it was asked."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import httpx
from databases import free_port

SECONDS = 60.0
BUCKET = "archive"


class ObjectStore:
    """A server with one bucket.

    Attributes
    ----------
    environment : what commands that use it have in theirs
    files : its file system
    """

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.files = fsspec.filesystem(
            "s3", endpoint_url=url, key="key", secret="secret", use_listings_cache=False
        )
        self.files.mkdir(BUCKET)

    def put(self, *paths: Path, folder: str = "raw") -> None:
        for path in paths:
            self.files.put_file(str(path), f"{BUCKET}/{folder}/{path.name}")

    def names(self, folder: str) -> list[str]:
        prefix = f"{BUCKET}/{folder}/"
        found = self.files.find(prefix) if self.files.exists(prefix) else []
        return sorted(path.removeprefix(prefix) for path in found)

    def read(self, name: str) -> bytes:
        return self.files.cat_file(f"{BUCKET}/{name}")

    def write(self, name: str, content: bytes) -> None:
        self.files.pipe_file(f"{BUCKET}/{name}", content)

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.read(name)).hexdigest()

    def asked(self) -> list[str]:
        """List the requests so far, such as ``"GET archive/raw/x.fits"``."""
        said = re.findall(r'"([A-Z]+) /(\S+) HTTP', self._log.read_text())
        return [f"{method} {path}" for method, path in said]


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Start a server, whose log is in a folder."""
    port, log_file = free_port(), folder / "store.log"
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log_file.open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"NO_COLOR": "1"}
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not _answers(url):
            assert server.poll() is None and time.monotonic() < deadline, log_file.read_text()
            time.sleep(0.1)
        yield ObjectStore(url, log_file)
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
