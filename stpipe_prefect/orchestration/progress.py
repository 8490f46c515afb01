"""Telling a person, while a pipeline runs, how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ..outcomes import Outcome


@dataclass(frozen=True)
class StepProgress:
    """A step that begins, or has ended.

    Attributes
    ----------
    step : str
        Its name within the pipeline.
    outcome : Outcome or None
        ``None`` as it begins.
    """

    step: str
    outcome: Outcome | None = None


@dataclass(frozen=True)
class DownloadProgress:
    """A reference file that is being fetched.

    Attributes
    ----------
    file : str
        Its name.
    received, size : int
        How many of its bytes have arrived, of how many.
    """

    file: str
    received: int
    size: int


Listener = Callable[[object], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("progress_listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener`, too, called with whatever is reported within the block.

    A pipeline reports a `StepProgress` as each of its steps begins and ends, and, from other
    threads, a `DownloadProgress` as files arrive; flows that run pipelines report events of
    their own.
    """
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def report(progress: object) -> None:
    """Pass progress on to whoever listens."""
    for listener in _listeners.get():
        listener(progress)
