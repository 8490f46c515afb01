"""What the command shows: tables of what differs, folded to what matters, and the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stpipe_prefect.comparison.causes import Cause
from stpipe_prefect.comparison.folders import FolderComparison
from stpipe_prefect.comparison.products import Comparison

from .words import (
    FIGURES,
    changes_of,
    columns_of,
    counted,
    row_of,
    science_of,
    shown,
    unlisted,
    verdict,
)

LISTED = 12
"""How many cards, columns or products are listed one by one."""


def report(found: Comparison | FolderComparison) -> Iterator[RenderableType]:
    """Show what was found of two products, or of two folders."""
    yield Text.assemble(("A", "bold"), f"  {found.a}")
    yield Text.assemble(("B", "bold"), f"  {found.b}")
    yield ""
    if isinstance(found, FolderComparison):
        yield from _of_folders(found)
    else:
        yield from _of_products(found)
    yield Text(verdict(found), "green" if found.is_identical else "bold red")


def _of_products(found: Comparison) -> Iterator[RenderableType]:
    different = [part for part in found.parts if not part.is_identical]
    if different:
        yield _table(("part", "", *FIGURES, ""), map(row_of, different), figures=True)
        yield ""
    identical = [part.name for part in found.parts if part.is_identical]
    if different and identical:
        yield f"identical: {', '.join(identical)}"
        yield ""
    yield from _list("column", columns_of(different), (*FIGURES, ""), figures=True)
    changes = [tuple(map(shown, row)) for row in changes_of(different)]
    yield from _list("card or metadata", changes, ("A", "B"))
    yield from _causes(found.explanation.causes, found.explanation.unknown, found.is_identical)


def _of_folders(found: FolderComparison) -> Iterator[RenderableType]:
    different = [product for product in found.products if not product.is_identical]
    rows = [
        *((name, "only in A") for name in found.only_in_a),
        *((name, "only in B") for name in found.only_in_b),
        *((name, "cannot be read") for name in found.unreadable),
        *((product.a.name, unlisted(product), *science_of(product)) for product in different),
    ]
    yield from _list("product", rows, ("differs in", "max |Δ|/ERR", "median |Δ|/ERR"))
    if different and (same := len(found.products) - len(different)):
        yield f"identical: {same} of {len(found.products)} products"
        yield ""
    causes = [cause for each in different for cause in each.explanation.causes]
    count = sum(bool(each.explanation.unknown) for each in different)
    unknown = (
        [f"{counted(count, 'product')} without a provenance record in A or B"] if count else []
    )
    yield from _causes(causes, unknown, found.is_identical)


def _causes(
    causes: Iterable[Cause], unknown: Sequence[str], is_identical: bool
) -> Iterator[RenderableType]:
    """List what was made differently; of several products, in how many it matters."""
    counts = Counter((cause.pipeline, cause.text) for cause in causes)
    title = "made differently, with the same result" if is_identical else "why"
    rows = [(*cause, counted(n, "product") if n > 1 else "") for cause, n in counts.items()]
    yield from _list(title, rows, ("", ""))
    if not is_identical and not rows and not unknown:
        yield "why: the provenance records list nothing that differs"
        yield ""
    if not is_identical:
        yield from (f"why is not known: {text}" for text in unknown)
        yield from ([""] if unknown else [])


def _list(
    title: str, rows: Sequence[Sequence[str]], others: Sequence[str], *, figures: bool = False
) -> Iterator[RenderableType]:
    """Make a table of the first rows, with a count of the rest."""
    if rows:
        yield _table((title, *others), rows[:LISTED], figures=figures)
        if len(rows) > LISTED:
            yield f"… and {len(rows) - LISTED} more: shown with --json"
        yield ""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        justify = "right" if figures and title in FIGURES else "left"
        table.add_column(title, overflow="fold", justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    return table
