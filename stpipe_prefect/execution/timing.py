"""How long each step of a run took, what memory it came to, and what became of it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .events import StepProgress, listening

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@contextmanager
def timed_steps() -> Iterator[list[dict[str, Any]]]:
    """Note the steps that run within the block, as they end.

    Each row has ``step``, ``outcome``, ``seconds`` and ``peak_memory_mb``, the most memory the
    process has had up to then; ``reason``, where there is one for its outcome; and ``model``, the
    type of its result, where it has one.
    """
    rows: list[dict[str, Any]] = []
    begun: dict[str, float] = {}

    def note(event: object) -> None:
        if not isinstance(event, StepProgress):
            return
        if event.outcome is None:
            begun[event.step] = time.monotonic()
        else:
            seconds = time.monotonic() - begun.pop(event.step, time.monotonic())
            rows.append(
                {
                    "step": event.step,
                    "outcome": str(event.outcome),
                    "seconds": round(seconds, 3),
                    "peak_memory_mb": peak_memory_mb(),
                    **({"reason": event.reason} if event.reason else {}),
                    **({"model": event.model} if event.model else {}),
                }
            )

    with listening(note):
        yield rows


def peak_memory_mb() -> float:
    """Give the most memory this process has had so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * _MAXRSS_UNIT / 1e6, 1)
