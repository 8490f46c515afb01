"""What a run says: its log lines kept, printed and written, apart from those of other runs.

Steps and the libraries they use log under names of their own; a Step names the loggers that
are its business. Handlers are attached to these while a run lasts. A run is known by a context
variable, so that two runs in two threads do not get each other's lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .current import Current
from .workarounds import crds_console_off

LINE_FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
_WARNINGS = "py.warnings"
_CRDS = "CRDS"


@dataclass(eq=False)
class _Run:
    """One top-level run; `lines` is what its steps give as their ``log_records``."""

    lines: list[str] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)


_current: Current[_Run] = Current("logged_run")
_lock = threading.RLock()
_levels: dict[str, tuple[int, int]] = {}
_captures_warnings = 0


@contextmanager
def logged_run(
    logger_names: Iterable[str],
    formatter: logging.Formatter | None,
    *,
    level: int | None = None,
    handlers: Iterable[logging.Handler] = (),
) -> Iterator[list[str]]:
    """Keep the log lines of a run, and show them as asked.

    Within another run the block is part of that one, and the arguments have no effect.

    Parameters
    ----------
    logger_names : iterable of str
        The loggers whose records belong to the run. ``"py.warnings"`` among them, Python's
        warnings are logged; ``"CRDS"``, the crds client does not print its own lines.
    formatter : logging.Formatter, optional
        Makes lines of records; without one none are kept.
    level : int, optional
        The least level; sets that of the loggers for as long as the run lasts. If not given,
        what reaches the run is what the loggers let through, and nothing is shown.
    handlers : iterable of logging.Handler
        Where else the records go; closed in the end.

    Yields
    ------
    list of str
        The lines, growing as the run goes on.
    """
    current = _current.get()
    if current is not None:
        yield current.lines
        return
    run = _Run()
    names = tuple(logger_names)
    shown = list(handlers)
    for handler in shown:
        handler.setLevel(level or logging.NOTSET)
        handler.setFormatter(logging.Formatter(LINE_FORMAT))
    shown.append(_Keeper(run.records))
    if formatter is not None:
        shown.append(_Recorder(run, formatter))
    with ExitStack() as stack:
        stack.enter_context(_current.set(run))
        if level is not None:
            stack.enter_context(_lowered(names, level))
            if _WARNINGS in names:
                stack.enter_context(_warnings_captured())
            if _CRDS in names:
                stack.enter_context(crds_console_off())
        stack.enter_context(_attached(names, shown, run))
        yield run.lines


def logged_records() -> list[logging.LogRecord]:
    """Give what the current run has logged so far, in order; nothing outside of a run."""
    run = _current.inferred()
    return run.records if run else []


class _Keeper(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.INFO)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


class _Recorder(logging.Handler):
    def __init__(self, run: _Run, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = run.lines
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


class _OfRun(logging.Filter):
    """Lets through the records that are made within one run."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def filter(self, record: logging.LogRecord) -> bool:
        return _current.inferred() is self._run


@contextmanager
def _attached(names: tuple[str, ...], handlers: list[logging.Handler], run: _Run) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    for handler in handlers:
        handler.addFilter(_OfRun(run))
        for logger in loggers:
            logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            for logger in loggers:
                logger.removeHandler(handler)
            handler.close()


@contextmanager
def _lowered(names: tuple[str, ...], level: int) -> Iterator[None]:
    """Set the level of loggers; it is theirs again when the last run that did so has ended."""
    with _lock:
        for name in names:
            runs, original = _levels.get(name, (0, logging.getLogger(name).level))
            _levels[name] = (runs + 1, original)
            logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        with _lock:
            for name in names:
                runs, original = _levels.pop(name)
                if runs > 1:
                    _levels[name] = (runs - 1, original)
                else:
                    logging.getLogger(name).setLevel(original)


@contextmanager
def _warnings_captured() -> Iterator[None]:
    global _captures_warnings
    with _lock:
        _captures_warnings += 1
        logging.captureWarnings(True)
    try:
        yield
    finally:
        with _lock:
            _captures_warnings -= 1
            if not _captures_warnings:
                logging.captureWarnings(False)
