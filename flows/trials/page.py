"""What came of a sweep, as one table and one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from flows.compare.page import STYLE, table_of
from flows.compare.words import number
from stpipe_prefect.exceptions import OutputError, reason

from .folders import BASE
from .merit import DIFFERENCE, Judged, figures_of, telling

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 5
"""How many figures the table shows; the page has all."""

_FIRST = (DIFFERENCE, "jump_fraction", "do_not_use_fraction", "sky_rms", "sources")


def table(trials: Sequence[Judged], merit: str | None = None) -> Table:
    """Show those figures in which trials differ that are asked about most, one's own first."""
    from rich.table import Table

    made = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    made.add_column("trial", overflow="fold")
    names = sorted(telling(trials), key=lambda name: _rank(name, merit))[:SHOWN]
    for name in names:
        made.add_column(name, justify="right", overflow="fold")
    for trial in trials:
        made.add_row(trial.name, *(number(trial.figures.get(name)) for name in names))
    return made


def write_page(trials: Sequence[Judged], parameters: Sequence[str], path: Path) -> None:
    """Write a page with all figures in which trials differ, into the folder of the trials.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    try:
        path.write_text("\n".join(_page(trials, parameters)), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: the page cannot be written: {reason(error)}") from error


def _page(trials: Sequence[Judged], parameters: Sequence[str]) -> Iterator[str]:
    title = f"Trials of {', '.join(parameters)}"
    names = telling(trials)
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>"
        "<p>Means over the products of each trial, of what differs between trials. "
        "Percentages are relative to the base. "
        f"{len(figures_of(trials)) - len(names)} other figures are the same in all.</p>"
    )
    links = [(t.name, ".." if t.name == BASE else quote(t.name)) for t in trials]
    folders = (f'<a href="{href}/">{escape(name)}</a>' for name, href in links)
    yield f"<p>Products, logs and records: {' · '.join(folders)}</p>"
    values = [(name, *(t.values.get(name, "") for t in trials)) for name in parameters]
    figures = [(name, *(number(t.figures.get(name)) for t in trials)) for name in names]
    yield from table_of(("", *(t.name for t in trials)), [*values, *figures])
    yield '<div class="pictures">'
    for name in names:
        of_trials = [(t.name, t.figures[name]) for t in trials if name in t.figures]
        yield f"<figure>{_bars(name, of_trials)}<figcaption>{escape(name)}</figcaption></figure>"
    yield "</div></body></html>"


def _bars(name: str, values: Sequence[tuple[str, float]]) -> str:
    """Draw a bar for each trial as SVG, from zero, and say how far it is from the base."""
    low = min(0.0, *(value for _, value in values))
    high = max(0.0, *(value for _, value in values))
    scale = 300 / ((high - low) or 1.0)
    of_base = dict(values).get(BASE)
    drawn = []
    for row, (trial, value) in enumerate(values):
        x, y = 10 + scale * (min(value, 0.0) - low), 26 + 40 * row
        change = f" ({value / of_base - 1:+.2%})" if of_base and trial != BASE else ""
        drawn.append(
            f'<text x="10" y="{y - 5}" font-size="13" fill="currentColor">'
            f"{escape(trial)}: {number(value)}{change}</text>"
            f'<rect x="{x:.1f}" y="{y}" width="{max(scale * abs(value), 0.5):.1f}" height="12"/>'
        )
    size = f'viewBox="0 0 320 {30 + 40 * len(values)}"'
    return f'<svg {size} role="img" aria-label="{escape(name)}">{"".join(drawn)}</svg>'


def _rank(name: str, merit: str | None) -> tuple[int, str]:
    if name == merit:
        return -1, name
    return next((rank for rank, end in enumerate(_FIRST) if name.endswith(end)), len(_FIRST)), name
