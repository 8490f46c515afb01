"""The CRDS server: calls and downloads that end in time, whatever the other side does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from ..exceptions import CrdsServerError, UsageError, reason
from ..logs import crds_console_off

URL_VARIABLE = "CRDS_SERVER_URL"
ATTEMPTS = 3
CHUNK = 1 << 18
LIMIT_VARIABLE = "STPIPE_CRDS_PATIENCE"
DEFAULT_LIMIT = 30.0
LEAST_RATE = 10_000
"""Bytes a second below which a download is as good as stuck."""

T = TypeVar("T")


class CrdsServer:
    """A CRDS server.

    Parameters
    ----------
    url : str
        Such as ``https://jwst-crds.stsci.edu``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, method: str, *parameters: Any, patience: Patience) -> Any:
        """Call one of its services.

        Parameters
        ----------
        method : str
            Name of the service.
        *parameters : object
            What it takes.
        patience : Patience
            The time it may take, all attempts together; renewed by the answer.

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
        os.environ.setdefault("CRDS_CLIENT_TIMEOUT_SECONDS", str(max(1, int(patience.limit / 2))))
        service = getattr(CheckingProxy(f"{self.url}/json/", version="1.0"), method)
        for pause in pauses():
            try:
                with crds_console_off():
                    answer = patience.within(service, *parameters)
                patience.renew()
                return answer
            except Exception as error:
                if isinstance(error, ServiceError) and error.__cause__ is None:
                    raise ServiceRefusedError(f"{self}: {reason(error)}") from error
                failure = error
            if not wait(pause, patience):
                break
        raise self.failed(f"{method}: {why(failure)}", patience) from failure

    def failed(self, what: str, patience: Patience) -> CrdsServerError:
        """Make the error of an operation that did not succeed within the time there was."""
        tried = f"gave up after {patience.limit:g} s ({LIMIT_VARIABLE})"
        return CrdsServerError(
            f"{self}: {what}; {tried if not patience.left else f'tried {ATTEMPTS} times'}; "
            f"check {URL_VARIABLE}, or unset it to work with what is in the cache"
        )

    def __str__(self) -> str:
        return f"CRDS server {self.url}"


class ServiceRefusedError(CrdsServerError):
    """The server answered that it cannot do what it was asked."""


def configured_server() -> CrdsServer | None:
    """Find the server that fills the cache, ``CRDS_SERVER_URL``; `None` if there is none."""
    url = os.environ.get(URL_VARIABLE, "")
    return None if not url or "serverless" in url or "server-less" in url else CrdsServer(url)


def chunks(url: str, patience: Patience) -> Iterator[bytes]:
    """Download, as it comes.

    Raises
    ------
    OSError, HTTPException
        The server refuses, breaks off, or falls silent.
    """
    response: HTTPResponse = patience.within(lambda: urlopen(url, timeout=patience.attempt))
    with response:
        while True:
            data = response.read1(CHUNK)
            if not data:
                return
            patience.restore(len(data))
            if not patience.left:
                raise TimeoutError("too slow")
            yield data


def pauses() -> Iterator[float]:
    """Go through the seconds to wait after each attempt; none after the last."""
    for attempt in range(1, ATTEMPTS):
        yield 0.25 * 2**attempt
    yield 0.0


def wait(pause: float, patience: Patience) -> bool:
    """Wait before another attempt; tell whether there is time for one."""
    if patience.left > pause:
        time.sleep(pause)
        return True
    time.sleep(patience.left)
    return False


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
        return f"it answers something else than CRDS does: {text}"
    return text


def limit() -> float:
    """Say how many seconds a silent server is waited for: ``STPIPE_CRDS_PATIENCE``, else 30.

    Raises
    ------
    UsageError
        The variable is not a positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        seconds = float(text or DEFAULT_LIMIT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{LIMIT_VARIABLE}={text}: expected a number of seconds, such as 30")
    return seconds


class Patience:
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

    def renew(self) -> None:
        """Begin again: there was an answer."""
        self._end = monotonic() + self.limit
        self._received = 0

    def restore(self, received: int) -> None:
        """Count what has arrived, in bytes."""
        self._received += received
        if self._received >= LEAST_RATE * self.limit:
            self.renew()

    def within(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function, and leave it alone if it takes longer than half the limit.

        Half, so that there is time for a second attempt.

        Raises
        ------
        TimeoutError
            It took too long.
        """
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

    @property
    def attempt(self) -> float:
        """Seconds that one attempt may be silent."""
        return max(0.001, min(self.left, self.limit / 2))
