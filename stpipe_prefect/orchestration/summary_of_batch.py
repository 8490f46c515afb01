"""What a flow run over many exposures shows: how far it is, and what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from ..execution.results import Result
from ..outcomes import Outcome

BAR_SECONDS = 5.0
"""Between two updates of the progress bar."""

LISTED = 100
"""How many failures are listed."""


class BatchProgress:
    """How many of the exposures of a flow run have ended, as a progress bar.

    Parameters
    ----------
    total : int
        All of them; a single one needs no bar.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = self._shown = time.monotonic()
        self._bar: Any = None

    def show(self, results: Sequence[Result]) -> None:
        """Show how far it is, at most every some seconds."""
        now, done = time.monotonic(), len(results)
        if self._total < 2 or (now - self._shown < BAR_SECONDS and done < self._total):
            return
        self._shown = now
        percent = 100.0 * done / self._total
        if self._bar is None:
            text = f"Exposures of {self._total} that have ended"
            self._bar = create_progress_artifact(percent, key="exposures", description=text)
        else:
            update_progress_artifact(self._bar, percent)


def show_batch(results: Sequence[Result]) -> None:
    """Attach what became of many exposures: outcomes, failures, the slowest and the largest."""
    if len(results) < 2:
        return
    counts = Counter(result.outcome for result in results)
    lines = ["| outcome | exposures |", "|---|--:|"]
    lines += [f"| {outcome} | {counts[outcome]} |" for outcome in Outcome if counts[outcome]]
    failures = [result.failure for result in results if result.failure]
    if failures:
        lines += ["", "## Failures", "", *(f"- {failure}" for failure in failures[:LISTED])]
        lines += [f"- … and {len(failures) - LISTED} more"] if failures[LISTED:] else []
    ran = [result.ended for result in results if result.ended.seconds]
    if ran:
        lines += ["", "## Slowest and largest", "", "| | s | MB |", "|---|--:|--:|"]
        slowest = sorted(results, key=lambda result: -result.ended.seconds)[:5]
        largest = sorted(results, key=lambda result: -result.ended.peak_memory_mb)[:5]
        lines += [
            f"| {result.name} | {result.ended.seconds:.1f} | {result.ended.peak_memory_mb:.0f} |"
            for result in dict.fromkeys((*slowest, *largest))
        ]
    create_markdown_artifact(
        key="exposures-summary", markdown="\n".join(lines), description="What became of them"
    )
