"""Telling a person, while a pipeline runs, how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from ..outcomes import Outcome


@dataclass(frozen=True)
class StepProgress:
    """A step that begins, without an outcome, or has ended.

    `reason` says why not as it should, `model` of which type its result is.
    """

    step: str
    outcome: Outcome | None = None
    reason: str = ""
    model: str = ""


@dataclass(frozen=True)
class DownloadProgress:
    """A reference file of which some bytes have arrived."""

    file: str
    received: int
    size: int


@dataclass(frozen=True)
class PipelineProgress:
    """A pipeline that begins, without an outcome, or is done, in seconds, and what it made.

    `degraded` and `caveats` are those of its record, a line each; `shared` names the folder whose
    products were taken.
    """

    pipeline: str
    outcome: Outcome | None = None
    seconds: float = 0.0
    products: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    shared: str = ""


@dataclass(frozen=True)
class ExposureProgress:
    """What one of many exposures has to report."""

    exposure: str
    event: object


_EVENTS = {event.__name__: event for event in (StepProgress, DownloadProgress, PipelineProgress)}


def as_message(event: Any) -> dict[str, Any]:
    """Put an event into what JSON can hold, to report it to another process."""
    return {"event": type(event).__name__, **asdict(event)}


def from_message(message: dict[str, Any]) -> object:
    """Take an event out again that `as_message` put in."""
    values = {name: value for name, value in message.items() if name != "event"}
    if values.get("outcome") is not None:
        values["outcome"] = Outcome(values["outcome"])
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return _EVENTS[message["event"]](**values)


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
    """Pass progress on to all listeners."""
    for listener in _listeners.get():
        listener(progress)
