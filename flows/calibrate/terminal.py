"""What the command shows while it runs: a line for each exposure, and how far all are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from stpipe_prefect.execution.events import (
    DownloadProgress,
    ExposureProgress,
    PipelineProgress,
    StepProgress,
    listening,
)
from stpipe_prefect.execution.results import Result
from stpipe_prefect.outcomes import Outcome


@dataclass
class _Line:
    """One input on the screen."""

    name: str
    started: float = field(default_factory=time.monotonic)
    pipeline: str = ""
    step: str = ""
    fetching: str = ""
    result: Result | None = None

    def update(self, event: object) -> None:
        if isinstance(event, PipelineProgress):
            self.pipeline, self.step = event.pipeline, ""
        elif isinstance(event, StepProgress):
            is_over = event.outcome is not None and event.outcome.is_good
            self.step = "" if is_over else event.step
        elif isinstance(event, DownloadProgress):
            percent = 100 * event.received // max(event.size, 1)
            done = event.received >= event.size
            self.fetching = "" if done else f"{event.file} {percent} %"

    def __rich__(self) -> Text:
        elapsed = time.monotonic() - self.started
        state, style, failed = "run ", "cyan", False
        if self.result is not None:
            elapsed, failed = self.result.ended.seconds, bool(self.result.failure)
            state, style = ("FAIL", "bold red") if failed else ("done", "green")
            if self.result.outcome is Outcome.CACHED:
                state, style = "same", "dim"
            elif self.result.outcome is Outcome.DEGRADED:
                state, style = "degr", "yellow"
            elif self.result.outcome is Outcome.SKIPPED:
                state, style = "left", "yellow"
        text = Text.assemble(
            (state, style),
            f" {elapsed:6.1f} s  {self.name}",
            no_wrap=True,
            overflow="ellipsis",
        )
        if failed or self.result is None:
            text.append(f"  {self.pipeline.rpartition('_')[2]}")
            text.append(f" {self.step}", "red" if failed else "cyan")
        if self.result is None and self.fetching:
            text.append(f"  fetching {self.fetching}", "dim")
        text.rstrip()
        return text


class Display:
    """Shows how far a campaign is.

    On a terminal the lines of the inputs that are being calibrated change in place; elsewhere,
    or where log lines go to the same terminal, a line is printed for every pipeline that
    begins. A line for every input stays.

    Parameters
    ----------
    console : rich.console.Console
    total : int
        How many inputs there are.
    live : bool
        Whether lines may change in place.
    """

    def __init__(self, console: Console, total: int, *, live: bool) -> None:
        self._results: list[Result] = []
        self._console = console
        self._total = total
        self._live = live and console.is_terminal
        self._lines: dict[str, _Line] = {}
        self._started = time.monotonic()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Show what is reported within the block."""
        with listening(self._update):
            if self._live:
                # rich redraws by itself, so that the elapsed time moves between steps
                with Live(self, console=self._console, refresh_per_second=4):
                    yield
            else:
                yield

    def __rich__(self) -> Group:
        return Group(*self._lines.values(), *([self._how_far()] if self._total > 1 else []))

    def _how_far(self) -> Text:
        failed = sum(bool(result.failure) for result in self._results)
        ended, running = len(self._results), len(self._lines)
        text = Text(f"{ended - failed} done", "dim")
        text.append(f" · {failed} failed", "red" if failed else "dim")
        text.append(f" · {running} running · {self._total - ended - running} to do")
        ran = sum(result.ended.seconds > 0 for result in self._results)
        if ran and ended < self._total:
            elapsed = time.monotonic() - self._started
            minutes = elapsed / ran * (self._total - ended) / 60
            text.append(
                f" · about {minutes:.0f} min left" if minutes >= 1 else " · under 1 min left"
            )
        return text

    def _update(self, event: object) -> None:
        if isinstance(event, ExposureProgress):
            line = self._lines.setdefault(event.exposure, _Line(event.exposure))
            line.update(event.event)
            begins = isinstance(event.event, PipelineProgress) and event.event.outcome is None
            if begins and not self._live:
                self._console.print(line)
        elif isinstance(event, Result):
            self._results.append(event)
            line = self._lines.pop(event.name, _Line(event.name))
            line.result, line.pipeline, line.step = event, event.pipeline, event.step
            self._console.print(line)
