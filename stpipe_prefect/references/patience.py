"""How long a server is waited for: any operation ends, whatever the other side does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from ..exceptions import UsageError

LIMIT_VARIABLE = "STPIPE_CRDS_PATIENCE"
DEFAULT_LIMIT = 30.0
LEAST_RATE = 10_000
"""Bytes a second below which a download is as good as stuck."""

T = TypeVar("T")


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
