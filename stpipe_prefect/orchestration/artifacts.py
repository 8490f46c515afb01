"""What a flow run shows for a person to look at afterwards: tables, pictures, progress bars.

In a batch of exposures less is recorded: Prefect's server stores some 16 task runs a second, and
the provenance records hold the rest.
"""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from ..exceptions import reason
from ..execution.events import DownloadProgress, report
from ..execution.results import Result
from ..outcomes import Outcome
from ..parameters.resolution import ResolvedParameter
from ..products.quicklook import quick_look
from ..references.crds_client import configured_server
from ..references.reference import ReferenceFile

P = ParamSpec("P")

LONG_DOWNLOAD = 2.0
"""Seconds after which a download has a progress bar, and between two updates of it."""

BAR_SECONDS = 5.0
"""Between two updates of the progress bar of a batch."""

LISTED = 100
"""Of what needs attention, so many lines are listed."""

logger = logging.getLogger("stpipe.products")

_in_batch: ContextVar[bool] = ContextVar("in_batch", default=False)


@contextmanager
def recording_for_batch(in_batch: bool) -> Iterator[None]:
    """Have Prefect record, within the block, as much as for one exposure of a batch, or all."""
    token = _in_batch.set(in_batch)
    try:
        yield
    finally:
        _in_batch.reset(token)


def is_in_batch() -> bool:
    """Whether this run is one of a batch, of which Prefect records less."""
    return _in_batch.get()


def _not_in_batch(show: Callable[P, None]) -> Callable[P, None]:
    """Leave out in a batch what the provenance record says as well."""

    @wraps(show)
    def attach(*args: P.args, **kwargs: P.kwargs) -> None:
        if not is_in_batch():
            show(*args, **kwargs)

    return attach


@_not_in_batch
def show_parameters(pipeline: str, parameters: Iterable[ResolvedParameter]) -> None:
    """Attach the parameters not left to the code: where each comes from, and what it beat."""
    every = list(parameters)
    given = [parameter for parameter in every if not parameter.source.is_code]
    given.sort(key=lambda parameter: not parameter.is_changed)
    create_table_artifact(
        key="parameters",
        table=[parameter.row() for parameter in given],
        description=f"Parameters of {pipeline} that are not left to the code: {len(given)} of "
        f"{len(every)}; the provenance record has all",
    )


@_not_in_batch
def show_references(references: Sequence[tuple[str, ReferenceFile]], context: str) -> None:
    """Attach the reference files of each step."""
    server = configured_server(references[0][1].observatory) or "no server"
    create_table_artifact(
        key="references",
        table=[
            {
                "step": step,
                "type": file.reference_type,
                "file": file.name,
                "bytes": str(file.size) if file.sha1 else "",
                "from": file.origin,
                "sha1": file.sha1,
            }
            for step, file in sorted(references, key=lambda each: not each[1].applies)
        ],
        description=f"Best references under {context}, {server}",
    )


@_not_in_batch
def show_products(products: list[Path]) -> None:
    """Attach the list of products, with their sizes."""
    create_table_artifact(
        key="products",
        table=[
            {"product": path.name, "MB": f"{path.stat().st_size / 1e6:.2f}", "in": str(path.parent)}
            for path in products
        ],
        description="Products",
    )


@_not_in_batch
def show_times(steps: Iterable[Mapping[str, Any]]) -> None:
    """Attach how the time of a run is shared out among its steps, as bars."""
    rows = list(steps)
    longest = max((row["seconds"] for row in rows), default=0) or 1
    lines = [
        f"| {row['step']} | {row['outcome']} | {row['seconds']:.2f} | "
        f"{'█' * round(30 * row['seconds'] / longest)} | {row.get('model', '')} |"
        for row in rows
    ]
    if lines:
        create_markdown_artifact(
            key="time-per-step",
            markdown="\n".join(["| step | | s | | result |", "|---|---|--:|---|---|", *lines]),
            description="Time per step",
        )


def show_quick_looks(products: Iterable[Path]) -> None:
    """Attach a small picture of each product that is an image or a spectrum."""
    for product in products:
        try:
            look = quick_look(product)
        except Exception as error:  # a picture is no reason to fail
            logger.warning("No quick look of %s: %s", product.name, reason(error))
            continue
        if look is not None:
            # An artifact of type image would spell out the whole picture beside it; one with a key
            # is stored three times: as the run's, as the latest of its key, and in an event.
            create_markdown_artifact(
                markdown=f"![{product.name}](data:image/webp;base64,{b64encode(look.webp).decode()})",
                description=f"Quick look: {look.caption}",
            )


class Downloads:
    """Follows the downloads of one task; give it to `prefetch` as ``on_progress``."""

    def __init__(self) -> None:
        self._file = ""
        self._shown = 0.0
        self._bar: Any = None

    def __call__(self, file: str, received: int, size: int) -> None:
        """Take note of what has arrived."""
        report(DownloadProgress(file, received, size))
        now = time.monotonic()
        if file != self._file:
            self._file, self._shown, self._bar = file, now, None
        done = received >= size
        if now - self._shown > LONG_DOWNLOAD or (done and self._bar is not None):
            percent = 100.0 * received / max(size, 1)
            if self._bar is None:
                self._bar = create_progress_artifact(percent, description=f"Fetching {file}")
            else:
                update_progress_artifact(self._bar, percent)
            self._shown = now


class BatchProgress:
    """How many of the exposures of a flow run have ended, as a progress bar."""

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


def show_report(path: str | None) -> None:
    """Attach a link to the page about the results, if there is one."""
    if path:
        place = Path(path).resolve()
        create_link_artifact(link=place.as_uri(), key="report", description=f"Report: {place}")


def attention_lines(attention: Sequence[tuple[str, str]]) -> list[str]:
    """List in Markdown what needs attention, given as kinds and lines, the most urgent first."""
    if not attention:
        return []
    lines = ["", "## Needs attention", ""]
    lines += [f"1. **{kind}** {line}" for kind, line in attention[:LISTED]]
    return lines + (["", f"… and {len(attention) - LISTED} more"] if attention[LISTED:] else [])


def show_batch(results: Sequence[Result], attention: Sequence[tuple[str, str]] = ()) -> None:
    """Attach what became of many exposures: outcomes, attention, the slowest and the largest.

    Parameters
    ----------
    results : sequence of Result
    attention : sequence of tuple of str
        What needs attention, the most urgent first: the kind, and a line.
    """
    if len(results) < 2:
        return
    counts = Counter(result.outcome for result in results)
    lines = ["| outcome | exposures |", "|---|--:|"]
    lines += [f"| {outcome} | {counts[outcome]} |" for outcome in Outcome if counts[outcome]]
    lines += attention_lines(attention)
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
        key="exposures-summary", markdown="\n".join(lines), description="Results"
    )
