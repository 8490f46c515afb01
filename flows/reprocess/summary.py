"""What a run of `reprocess` found and did, for a person to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.calibrate.reporting import attention, reported_folders
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.remote.urls import as_urls

from .survey import Item


@dataclass(frozen=True)
class Reason:
    """Why something is stale.

    Attributes
    ----------
    text : str
    count : int
        How many exposures and associations it concerns.
    since : datetime.datetime
        It is newer than this: then the newest of their products was made.
    """

    text: str
    count: int
    since: datetime


@dataclass
class Summary:
    """What was found in an archive, and what has become of it so far.

    Attributes
    ----------
    items : list of Item
        All of the archive.
    done : list of pathlib.Path
        Inputs whose products were made again.
    degraded : list of str
        Which of their steps could not do their work, and why, a line each.
    failed : dict of pathlib.Path to str
        What stopped others, in one line.
    results : list of Result
        What became of all that ran, in detail.
    reasons : list of Reason
        What makes things stale, the newest first.
    """

    items: list[Item]
    done: list[Path] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    reasons: list[Reason] = field(init=False)

    def __post_init__(self) -> None:
        self.reasons = _counted(self.stale)  # now: products are not as old any more later
        self.failed |= {item.input: item.error for item in self.items if item.error}

    @property
    def stale(self) -> list[Item]:
        """Those that had something to do at the beginning."""
        return [item for item in self.items if item.stale]

    @property
    def left(self) -> list[Item]:
        """Those of them that nothing was done about."""
        over = {*self.done, *self.failed}
        return [item for item in self.stale if item.input not in over]

    def write_report(self, path: str) -> None:
        """Write a page about all products of the archive, and what did not become of others."""
        from flows.report.page import write_report

        folders = reported_folders(item.folder for item in self.items)
        write_report(Path(path), folders, self._all_results)

    def attention(self) -> list[tuple[str, str]]:
        """Give what needs attention of all that ran or failed: the kind, and a line."""
        over = {*self.done, *self.failed}
        folders = (item.folder for item in self.items if item.input in over)
        return attention(folders, self._all_results)

    @property
    def _all_results(self) -> list[Result]:
        known = {result.name for result in self.results}
        others = [
            Result(file.name, Ended(Outcome.FAILED, message, 1, is_explained=True))
            for file, message in self.failed.items()
            if file.name not in known
        ]
        return [*self.results, *others]

    @property
    def percent(self) -> float:
        """How much of what was stale is not left."""
        stale = len(self.stale)
        return 100 * (1 - len(self.left) / stale) if stale else 100.0

    @property
    def contexts(self) -> list[str]:
        """The CRDS contexts that things were planned under, one for each mission."""
        return [*dict.fromkeys(item.context for item in self.items if item.context)]

    def __str__(self) -> str:
        under = f" under {' and '.join(self.contexts)}" if self.contexts else ""
        return (
            f"{len(self.stale)} of {len(self.items)} stale{under}: "
            f"{len(self.done)} done, {len(self.failed)} failed, {len(self.left)} left"
        )

    def markdown(self) -> str:
        """Write it as Markdown."""
        from stpipe_prefect.orchestration.artifacts import attention_lines

        lines = [f"**{self}**", ""]
        if self.stale:
            lines += ["| stale | newer than | because of |", "|--:|---|---|"]
            lines += [
                f"| {reason.count} | {reason.since:%Y-%m-%d %H:%M} | {_cell(reason.text)} |"
                for reason in self.reasons
            ]
        return as_urls("\n".join(lines + attention_lines(self.attention())))

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        return {
            "contexts": self.contexts,
            "total": len(self.items),
            "reasons": {reason.text: reason.count for reason in self.reasons},
            "stale": [item.as_json() for item in self.stale],
            "done": [as_urls(str(path)) for path in self.done],
            "degraded": self.degraded,
            "failed": {as_urls(str(path)): as_urls(text) for path, text in self.failed.items()},
            "left": [as_urls(str(item.input)) for item in self.left],
        }


def _counted(items: Iterable[Item]) -> list[Reason]:
    since: dict[str, list[datetime]] = {}
    for item in items:
        for text, date in _reasons(item):
            since.setdefault(text, []).append(date)
    found = [Reason(text, len(dates), max(dates)) for text, dates in since.items()]
    return sorted(found, key=lambda reason: (reason.since, reason.count), reverse=True)


def _reasons(item: Item) -> Iterator[tuple[str, datetime]]:
    """Name the reasons of one item without the names of its own files, each once."""
    found: dict[str, datetime] = {}
    for plan in item.stale:
        date = item.made(plan)
        for text in map(_without_names, plan.reasons):
            found[text] = max(date, found.get(text, date))
    if len(found) > 1:  # what follows from the others
        found.pop("input will be remade", None)
    yield from found.items()


def _without_names(reason: str) -> str:
    return re.sub(r"^(input|product) \S+( and \d+ more)?", r"\1", reason)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "; ")
