"""How much of a run Prefect's server is told.

It records some 16 task runs a second, and a batch of exposures makes more. There it is told in
brief: of the steps that run and the files that are fetched. What else there is to know is in the
provenance records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_brief: ContextVar[bool] = ContextVar("told_in_brief", default=False)


@contextmanager
def told_in_brief(brief: bool) -> Iterator[None]:
    """Tell the server less, or all, within the block."""
    token = _brief.set(brief)
    try:
        yield
    finally:
        _brief.reset(token)


def is_brief() -> bool:
    """Whether the server is told only of what matters in a batch."""
    return _brief.get()
