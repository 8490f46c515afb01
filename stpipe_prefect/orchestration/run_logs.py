"""What steps log: shown in the Prefect run they belong to, and kept beside the products."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from ..logs import logged_run
from ..step import Step
from .workarounds import handlers_for_steps


@contextmanager
def captured_logs(step_class: Any, level: int = logging.INFO) -> Iterator[StringIO]:
    """Send what one run logs where Prefect sends its own records, and collect it.

    Each record reaches the log of the task run, or else flow run, in which it was made, and
    the console. Handlers and levels are as before after the block. The class of the pipeline or
    step names its loggers; the root logger is left out, as Prefect's own records pass through it.
    The lines given are those of this run, not of others in the same process.
    """
    names = [name for name in step_class.get_stpipe_loggers() if name != "root"]
    text = StringIO()
    # Steps of others keep their own records.
    formatter = step_class._log_records_formatter if issubclass(step_class, Step) else None
    with logged_run(names, formatter, level=level, handlers=_handlers(text)):
        yield text


def _handlers(text: StringIO) -> Iterator[logging.Handler]:
    """Make the handlers of a run; a step that is part of another run does not ask for them."""
    yield logging.StreamHandler(text)
    yield from map(_To, handlers_for_steps())


class _To(logging.Handler):
    """Hands records on to a handler that other runs use as well."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._target.level:
            self._target.handle(record)
