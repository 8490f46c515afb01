"""The CRDS server: its services, its catalogue and downloads, all of which end in time."""

from __future__ import annotations

import ast
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from ..exceptions import CrdsServerError, InputError, ReferenceFileError, UsageError, reason
from ..remote.store import explained, opened
from ..remote.urls import is_url
from ..workarounds import crds_console_off

URL_VARIABLE = "CRDS_SERVER_URL"
PAUSES = (0.5, 1.0)
"""Seconds between the attempts of one call or download."""
CHUNK = 1 << 18
BLOCK = 1 << 23
"""Bytes of an object in a store that are asked for at a time."""
LIMIT_VARIABLE = "STPIPE_CRDS_PATIENCE"
DEFAULT_LIMIT = 30.0
LEAST_RATE = 10_000
"""Bytes a second below which a download is as good as stuck."""

T = TypeVar("T")

_asking = threading.Lock()
_asked: set[tuple[str, str]] = set()
"""Catalogues, each with its server, that were renewed for a file that they did not name."""


class Deadline:
    """The time one file, or one call, may still take; all attempts together.

    It runs out in silence. What arrives renews it when it amounts to `LEAST_RATE` over the limit;
    so what comes more slowly, by however little, ends at the limit as well.
    """

    def __init__(self) -> None:
        self.limit = limit()
        self.renew()

    @property
    def left(self) -> float:
        """Seconds left; 0 when it has run out."""
        return max(0.0, self._end - monotonic())

    @property
    def attempt(self) -> float:
        """Seconds that one attempt may be silent: half, so that there is time for a second."""
        return max(0.001, min(self.left, self.limit / 2))

    def renew(self) -> None:
        """Begin again: there was an answer."""
        self._end = monotonic() + self.limit
        self._received = 0

    def extend(self, received: int) -> None:
        """Count the bytes that have arrived."""
        self._received += received
        if self._received >= LEAST_RATE * self.limit:
            self.renew()

    def attempts(self) -> Iterator[None]:
        """Go through the attempts there are, with pauses between them, while there is time."""
        for pause in PAUSES:
            yield
            time.sleep(min(pause, self.left))
            if not self.left:
                return
        yield

    def within(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function, and leave it alone if it takes longer than an attempt may."""
        outcome: list[T] = []
        failure: list[BaseException] = []

        def call() -> None:
            try:
                outcome.append(function(*args))
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=call, daemon=True)  # keeps nobody from leaving
        thread.start()
        thread.join(self.attempt)
        if failure:
            raise failure[0]
        if not outcome:
            raise TimeoutError("no answer")
        return outcome[0]


def limit() -> float:
    """Say how many seconds a silent server is waited for: ``STPIPE_CRDS_PATIENCE``, else 30."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        seconds = float(text or DEFAULT_LIMIT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{LIMIT_VARIABLE}={text}: expected a number of seconds, such as 30")
    return seconds


class ServiceRefusedError(CrdsServerError):
    """The server answered that it cannot do what it was asked."""


class CrdsServer:
    """A CRDS server, by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, method: str, *parameters: Any, deadline: Deadline) -> Any:
        """Call one of its services; the answer renews the deadline.

        Raises
        ------
        ServiceRefusedError
            It answers that it cannot do that.
        CrdsServerError
            It does not answer, or not sensibly.
        """
        from crds.client.proxy import CheckingProxy
        from crds.core.exceptions import ServiceError

        # For the client's own waiting; without it, an hour.
        os.environ.setdefault("CRDS_CLIENT_TIMEOUT_SECONDS", str(max(1, int(deadline.limit / 2))))
        service = getattr(CheckingProxy(f"{self.url}/json/", version="1.0"), method)
        for _ in deadline.attempts():
            try:
                with crds_console_off():
                    answer = deadline.within(service, *parameters)
                deadline.renew()
                return answer
            except Exception as error:
                if isinstance(error, ServiceError) and error.__cause__ is None:
                    raise ServiceRefusedError(f"{self}: {reason(error)}") from error
                failure = error
        raise self.failed(f"{method}: {why(failure)}", deadline) from failure

    def failed(self, what: str, deadline: Deadline) -> CrdsServerError:
        """Make the error of an operation that did not succeed within the time there was."""
        tried = f"tried {len(PAUSES) + 1} times"
        if not deadline.left:
            tried = f"gave up after {deadline.limit:g} s ({LIMIT_VARIABLE})"
        return CrdsServerError(
            f"{self}: {what}; {tried}; "
            f"check {URL_VARIABLE}, or unset it to use only what is in the cache"
        )

    def __str__(self) -> str:
        return f"CRDS server {self.url}"


def server_url(observatory: str) -> str:
    """Give the address of an observatory's server; empty if none is configured.

    ``CRDS_SERVER_URL_JWST`` and the like go before ``CRDS_SERVER_URL``: a worker that serves
    several observatories needs a server for each.
    """
    own = os.environ.get(f"{URL_VARIABLE}_{observatory.upper()}", "")
    return own or os.environ.get(URL_VARIABLE, "")


def configured_server(observatory: str) -> CrdsServer | None:
    """Find the server that fills the cache for an observatory; `None` if there is none."""
    url = server_url(observatory)
    return None if not url or "serverless" in url or "server-less" in url else CrdsServer(url)


def chunks(url: str, deadline: Deadline) -> Iterator[bytes]:
    """Download, as it comes; an OSError or HTTPException says that this failed.

    Of an object in a store, whose file system tries again by itself, a ReferenceFileError.
    """
    if is_url(url) and not url.startswith(("http://", "https://", "file://")):
        yield from _chunks_of_object(url, deadline)
        return
    response: HTTPResponse = deadline.within(lambda: urlopen(url, timeout=deadline.attempt))
    with response:
        while data := response.read1(CHUNK):
            deadline.extend(len(data))
            if not deadline.left:
                raise TimeoutError("too slow")
            yield data


def _chunks_of_object(url: str, deadline: Deadline) -> Iterator[bytes]:
    try:
        with explained(url), opened(url, BLOCK) as file:
            while data := file.read(BLOCK):
                deadline.extend(len(data))
                yield data
    except InputError as error:
        raise ReferenceFileError(str(error)) from error


def is_transient(error: Exception) -> bool:
    """Tell whether a download that failed so might succeed if tried again."""
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    return isinstance(error, (OSError, HTTPException))


def why(error: BaseException) -> str:
    """Say what was wrong with the server, in plain words where they are known."""
    text = reason(error)
    if isinstance(error, TimeoutError) or "timed out" in text:
        return "it accepts connections but does not answer"
    if "Connection refused" in text:
        return "connection refused"
    if isinstance(error, (ValueError, KeyError, TypeError)):
        return f"its response is not that of a CRDS server: {text}"
    return text


@dataclass(frozen=True)
class Entry:
    """What a file has to be: its bytes, and its checksum, empty if the server does not know it."""

    size: int
    sha1: str


class Catalogue:
    """What the server says about the files of one observatory.

    It comes with the server's description of itself, which the crds client keeps in the cache as
    ``server_config``; there it is at hand without a server, too.
    """

    def __init__(self, observatory: str) -> None:
        from crds.core import config

        self.observatory = observatory
        self.path = Path(config.locate_config("server_config", observatory))

    def entry(self, name: str) -> Entry | None:
        """Find out what a file has to be; `None` if that is not known."""
        about = self._read()[1].get(name)
        if not isinstance(about, Mapping) or not str(about.get("size", "")).isdecimal():
            return None
        sha1 = str(about.get("sha1sum", ""))
        return Entry(int(about["size"]), "" if sha1 == "none" else sha1)

    def entry_to_verify(
        self, name: str, server: CrdsServer | None, deadline: Deadline
    ) -> Entry | None:
        """Find out what a file in the cache has to be; the server is asked once if need be."""
        with _asking:
            asked = (str(self.path), server.url if server else "")
            if server is not None and asked not in _asked and self.entry(name) is None:
                self.refresh(server, deadline)
                _asked.add(asked)
        return self.entry(name)

    def entry_for_download(
        self, name: str, server: CrdsServer, deadline: Deadline
    ) -> tuple[Entry, str]:
        """Find out what a file has to be and its URL, from the server if need be."""
        if self._read()[0].get("server") != server.url or self.entry(name) is None:
            self.refresh(server, deadline)
        entry = self.entry(name)
        if entry is None:
            raise ReferenceFileError(f"{server} does not know {name}")
        return entry, self._url(name)

    def flaw(self) -> str:
        """Say why the crds client cannot work with what is in the cache, and what to do about it.

        Empty if it can.
        """
        from crds.core import config

        if config.get_uri("server_config") != "none":  # CRDS_CONFIG_URI: it is elsewhere
            return ""
        cure = "; set CRDS_SERVER_URL to have it fetched"
        try:
            self.path.open("rb").close()
        except (FileNotFoundError, NotADirectoryError):
            return f"is absent{cure}"
        except OSError as error:
            return f"cannot be read ({error.strerror}); have its owner make it readable"
        problem = _flaw(self._read()[0], self.observatory)
        return problem and f"is damaged: {problem}{cure}"

    def refresh(self, server: CrdsServer, deadline: Deadline) -> None:
        """Ask the server for the catalogue and keep it in the cache; nonsense is not kept."""
        from crds.client.proxy import crds_encode
        from crds.core import heavy_client

        info = server.call("get_server_info", deadline=deadline)
        if not isinstance(info, dict) or info.get("observatory") != self.observatory:
            raise CrdsServerError(
                f"{server} does not serve {self.observatory}; check {URL_VARIABLE}, or set "
                f"{URL_VARIABLE}_{self.observatory.upper()}"
            )
        for section in ("reference_url", "mapping_url", "config_url", "pickle_url"):
            if isinstance(info.get(section), dict):
                info[section] = info[section].get("unchecked", info[section])
        if "download_metadata" not in info:
            fields = ["sha1sum", "size"]
            files = server.call(
                "get_file_info_map", self.observatory, None, fields, deadline=deadline
            )
            info["download_metadata"] = crds_encode(files)
        info |= {"server": server.url, "status": "server", "connected": True}
        info.setdefault("last_synced", "")
        problem = _flaw(info, self.observatory)
        if not (problem or isinstance(_decoded(info), Mapping)):
            problem = "download_metadata is not a list of files"
        if problem:
            raise CrdsServerError(
                f"{server} sends an invalid description of itself: {problem}; check CRDS_SERVER_URL"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReferenceFileError(
                f"CRDS cache {self.path.parent} cannot be written: {reason(error)}"
            ) from error
        heavy_client.cache_server_info(heavy_client.ConfigInfo(info), self.observatory)

    def _url(self, name: str) -> str:
        from crds.core import config

        uri = str(config.get_uri(name))  # CRDS_REFERENCE_URI, CRDS_MAPPING_URI
        if uri != "none":
            return uri
        section = "mapping_url" if config.is_mapping(name) else "reference_url"
        try:
            folder = self._read()[0][section][self.observatory]
            return f"{folder.rstrip('/')}/{name}"
        except (KeyError, TypeError, AttributeError) as error:
            raise CrdsServerError(f"The CRDS server gives no address for {name}") from error

    def _read(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        try:
            status = self.path.stat()
        except OSError:
            return {}, {}
        return _parse(self.path, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4)
def _parse(path: Path, mtime: int, inode: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the server's description, and its files by name; nothing where it is damaged."""
    try:
        info = ast.literal_eval(path.read_text())
    except (OSError, ValueError, SyntaxError, MemoryError, RecursionError):
        return {}, {}
    files = _decoded(info) if isinstance(info, Mapping) else None
    return (info, files) if isinstance(files, Mapping) else ({}, {})


def _decoded(info: Mapping[str, Any]) -> Any:
    """Give the files of a description by name; None where they cannot be read."""
    from crds.client.proxy import crds_decode

    try:
        return crds_decode(info.get("download_metadata", {}))
    except Exception:  # of base64, gzip, JSON
        return None


def _flaw(info: Mapping[str, Any], observatory: str) -> str:
    """Say what the crds client would miss in a server's description of itself."""
    bad = info.get("bad_files_list")
    if not info:
        return "it cannot be read"
    if info.get("observatory") != observatory:
        return f"its observatory is not {observatory}"
    if not isinstance(bad, (list, tuple)) or not all(isinstance(name, str) for name in bad):
        return "bad_files_list is not a list of files"
    if not isinstance(info.get("operational_context"), str):
        return "it names no operational_context"
    return "" if "last_synced" in info else "last_synced is missing"
