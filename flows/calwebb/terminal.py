"""What the command shows: a live line for each exposure, then the table of products."""

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

from stpipe_prefect.orchestration.progress import StepProgress, listening

from .programme import PipelineProgress, Result


@dataclass
class _Line:
    """One input on the screen."""

    result: Result
    started: float = field(default_factory=time.monotonic)
    pipeline: str = ""
    step: str = ""
    seconds: float | None = None

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started if self.seconds is None else self.seconds


class Display:
    """Follows a programme.

    On a terminal every input has a line that changes in place; elsewhere, or where log lines
    go to the same terminal, a line is printed for every pipeline that begins and ends.

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

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for line in self._lines.values():
            table.add_row(
                _state(line), line.result.input.name, f"{line.elapsed:6.1f} s", *_at(line)
            )
        return table

    def _update(self, event: object) -> None:
        if isinstance(event, PipelineProgress):
            line = self._lines.setdefault(event.result.input, _Line(event.result))
            self._current = line
            line.pipeline, line.step = event.pipeline or "", ""
            if event.pipeline is None:
                line.seconds = line.elapsed
            if not self._live:
                self._console.print(
                    _state(line), line.result.input.name, f"{line.elapsed:.1f} s", *_at(line)
                )
        elif isinstance(event, StepProgress) and self._current is not None:
            self._current.step = event.step


def _state(line: _Line) -> Text:
    if line.seconds is None:
        return Text("run ", style="cyan")
    return Text("FAIL", style="bold red") if line.result.error else Text("done", style="green")


def _at(line: _Line) -> list[Text]:
    if line.result.error is not None:
        return [Text(line.result.failure, style="red")]
    return [Text(line.pipeline), Text(line.step, style="cyan")]


def product_table(results: list[Result]) -> Table:
    """List the products with their sizes, and the time each pipeline took.

    Parameters
    ----------
    results : list of Result

    Returns
    -------
    rich.table.Table
    """
    table = Table(box=None, header_style="bold", padding=(0, 2))
    table.add_column("product")
    table.add_column("MB", justify="right")
    table.add_column("made by")
    table.add_column("s", justify="right")
    for result in results:
        for pipeline, products in result.products.items():
            for number, product in enumerate(products):
                seconds = f"{result.seconds[pipeline]:.1f}" if number == 0 else ""
                size = f"{product.stat().st_size / 1e6:.2f}"
                table.add_row(product.name, size, pipeline, seconds)
    return table
