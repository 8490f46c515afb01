"""What the command shows: a line for each exposure, then the table of products."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stpipe_prefect.orchestration.progress import DownloadProgress, StepProgress, listening
from stpipe_prefect.outcomes import Outcome

from .programme import PipelineProgress, Result


@dataclass
class _Line:
    """One input on the screen."""

    result: Result
    started: float = field(default_factory=time.monotonic)
    step: str = ""
    fetching: str = ""
    seconds: float | None = None

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started if self.seconds is None else self.seconds

    def __rich__(self) -> Text:
        failed = self.result.error is not None
        if self.seconds is None:
            state, style = "run ", "cyan"
        else:
            state, style = ("FAIL", "bold red") if failed else ("done", "green")
            if self.result.outcome is Outcome.CACHED:
                state, style = "same", "dim"
        text = Text.assemble(
            (state, style),
            f" {self.elapsed:6.1f} s  {self.result.input.name}",
            no_wrap=True,
            overflow="ellipsis",
        )
        if failed or self.seconds is None:
            text.append(f"  {self.result.reached.removeprefix('calwebb_')}")
            text.append(f" {self.step}", "red" if failed else "cyan")
        if self.seconds is None and self.fetching:
            text.append(f"  fetching {self.fetching}", "dim")
        text.rstrip()
        return text


class Display:
    """Follows a programme.

    On a terminal the line of the input that is being calibrated changes in place; elsewhere,
    or where log lines go to the same terminal, a line is printed for every pipeline that
    begins. A line for every input stays.

    Parameters
    ----------
    console : rich.console.Console
    live : bool
        Whether lines may change in place.
    """

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console = console
        self._live = live and console.is_terminal
        self._lines: dict[Path, _Line] = {}
        self._current: _Line | None = None

    @property
    def results(self) -> list[Result]:
        """What has become of each input so far."""
        return [line.result for line in self._lines.values()]

    @property
    def failures(self) -> list[tuple[str, Exception]]:
        """What stopped inputs: in one line, and the error itself."""
        return [
            (line.result.failure(line.step), line.result.error)
            for line in self._lines.values()
            if line.result.error is not None
        ]

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

    def __rich__(self) -> _Line | Text:
        return self._current or Text()

    def _update(self, event: object) -> None:
        if isinstance(event, PipelineProgress):
            line = self._lines.setdefault(event.result.input, _Line(event.result))
            self._current = line
            if event.pipeline is None:
                line.seconds = line.elapsed
                self._current = None
            else:
                line.step = ""
            if event.pipeline is None or not self._live:
                self._console.print(line)
        elif isinstance(event, StepProgress) and self._current is not None:
            is_over = event.outcome is not None and event.outcome.is_good
            self._current.step = "" if is_over else event.step
        elif isinstance(event, DownloadProgress) and self._current is not None:
            percent = 100 * event.received // max(event.size, 1)
            done = event.received >= event.size
            self._current.fetching = "" if done else f"{event.file} {percent} %"


def product_table(results: list[Result]) -> Table:
    """List the products with their sizes, and the time each pipeline took.

    Parameters
    ----------
    results : list of Result

    Returns
    -------
    rich.table.Table
    """
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("product", overflow="fold")
    table.add_column("MB", justify="right")
    table.add_column("made by")
    table.add_column("s", justify="right")
    for result in results:
        for pipeline, products in result.products.items():
            for number, product in enumerate(products):
                cached = result.outcomes[pipeline] is Outcome.CACHED
                seconds = Outcome.CACHED if cached else f"{result.seconds[pipeline]:.1f}"
                size = f"{product.stat().st_size / 1e6:.2f}"
                table.add_row(product.name, size, pipeline, "" if number else seconds)
    return table
