"""Showing what steps log in the Prefect run they belong to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from ..logs import crds_console_off


@contextmanager
def captured_logs(logger_names: Iterable[str], level: int = logging.INFO) -> Iterator[None]:
    """Send the records of the named loggers where Prefect sends its own.

    Each record reaches the log of the task run, or else flow run, in which it was made, and
    the console. Handlers and levels are as before after the block.

    Parameters
    ----------
    logger_names : iterable of str
        What a Step's ``get_stpipe_loggers()`` names. The root logger is left out: Prefect's
        own records pass through it.
    level : int
        The least level that is shown.
    """
    names = [name for name in logger_names if name != "root"]
    to_prefect = logging.getLogger("prefect.extra").handlers  # meant for loggers not its own
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        for handler in to_prefect:
            logger.addHandler(handler)
    if "py.warnings" in names:
        logging.captureWarnings(True)
    try:
        with crds_console_off() if "CRDS" in names else nullcontext():
            yield
    finally:
        if "py.warnings" in names:
            logging.captureWarnings(False)
        for name in names:
            logger = logging.getLogger(name)
            logger.setLevel(levels[name])
            for handler in to_prefect:
                logger.removeHandler(handler)
