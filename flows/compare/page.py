"""One page with both images of a product, their difference, its histogram, and all figures.

It needs nothing else: pictures are in it, and there are no scripts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from stpipe_prefect.comparison.folders import FolderComparison
from stpipe_prefect.comparison.products import Comparison
from stpipe_prefect.exceptions import OutputError, reason

from .pictures import Pictures, pictures_of
from .words import FIGURES, changes_of, columns_of, number, row_of, verdict

PICTURED = 20
"""Of how many products that differ a page shows pictures."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --paper: #fff; --line: #d1d9e0;
  --bar: #2f6feb; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --paper: #0d1117;
  --line: #3d444d; --bar: #6ea8fe; --good: #4ac26b; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; padding: 1.5rem; max-width: 76rem; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; } p { margin: .3rem 0; }
.identical { color: var(--good); } .different { color: var(--bad); }
.dim, figcaption, th { color: var(--dim); } code { font-size: .92em; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr));
  gap: 1rem; margin: 1rem 0; } figure { margin: 0; } figcaption { font-size: .85rem; }
img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line); display: block; }
svg { width: 100%; border: 1px solid var(--line); display: block; } rect { fill: var(--bar); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } .figures td:nth-child(2) { white-space: nowrap; }
.figures td:nth-child(n+3):nth-child(-n+7),
.figures th:nth-child(n+3):nth-child(-n+7) { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; } summary { cursor: pointer; margin: .8rem 0 .3rem; }
.less, .more, .one { display: inline-block; width: .7em; height: .7em; background: #4aa8ff; }
.more { background: #ff9933; } .one { background: #808080; }
"""


def write_page(found: Comparison | FolderComparison, path: Path) -> None:
    """Write the page about two products, or about all products of two folders that differ."""
    try:
        path.write_text("\n".join(_page(found)), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: the page cannot be written: {reason(error)}") from error


def _page(found: Comparison | FolderComparison) -> Iterator[str]:
    name = found.b.name or str(found.b)
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} compared</title><style>{STYLE}</style></head><body>"
    )
    yield f"<h1>{escape(name)}</h1>"
    yield from sections(found)
    yield "</body></html>"


def sections(found: Comparison | FolderComparison) -> Iterator[str]:
    """Give what a page says of a comparison, below its title."""
    several = isinstance(found, FolderComparison)
    products = found.products if isinstance(found, FolderComparison) else [found]
    yield f"<p><b>A</b> <code>{escape(str(found.a))}</code></p>"
    yield f"<p><b>B</b> <code>{escape(str(found.b))}</code></p>"
    kind = "identical" if found.is_identical else "different"
    yield f'<p class="{kind}"><b>{escape(verdict(found))}</b></p>'
    if isinstance(found, FolderComparison):
        for title, names in (("Only in A", found.only_in_a), ("Only in B", found.only_in_b)):
            if names:
                yield f"<p>{title}: {escape(', '.join(names))}</p>"
        for message in found.unreadable.values():
            yield f'<p class="different">{escape(message)}</p>'
    shown = [each for each in products if not (several and each.is_identical)]
    for product in shown[:PICTURED]:
        yield f"<h2>{escape(product.b.name)}</h2>" if several else ""
        yield from _product(product)
    if len(shown) > PICTURED:
        yield f"<p>{len(shown) - PICTURED} more products differ: shown with --json.</p>"


def _product(found: Comparison) -> Iterator[str]:
    causes = [(cause.pipeline, cause.text) for cause in found.explanation.causes]
    if causes:
        yield f"<h3>{'Made differently' if found.is_identical else 'Why'}</h3>"
        yield from table_of(("pipeline", "what differs"), causes)
    for text in found.explanation.unknown:
        yield f'<p class="dim">Why is not known: {escape(text)}</p>'
    pictures = pictures_of(found.a, found.b)
    if pictures:
        yield from _pictures(pictures)
    yield "<h3>Parts</h3>"
    rows = [row_of(part) for part in found.parts]
    yield from table_of(("part", "shape", *FIGURES, ""), rows, figures=True)
    different = [part for part in found.parts if not part.is_identical]
    columns = [(name, "", *rest) for name, *rest in columns_of(different)]
    yield from _details("column", columns, ("column", "", *FIGURES, ""), figures=True)
    yield from _details("value", changes_of(different), ("card or metadata", "A", "B"))


def _pictures(pictures: Pictures) -> Iterator[str]:
    stretch = f"{pictures.stretch} {pictures.unit}".rstrip()
    yield '<div class="pictures">'
    yield _figure("A", pictures.a, f"A: {escape(stretch)}")
    yield _figure("B", pictures.b, "B: the same stretch")
    if pictures.difference:
        limit = f"{number(pictures.limit)} {escape(pictures.unit)}".rstrip()
        legend = (
            f'B - A: <span class="less"></span> -{limit} to <span class="more"></span> {limit}, '
            '<span class="one"></span> finite in one only'
        )
        yield _figure("B - A", pictures.difference, legend)
        yield (
            f"<figure>{_histogram(pictures)}<figcaption>Pixels by B - A, logarithmic; those beyond "
            "the limits are in the outermost bars</figcaption></figure>"
        )
    yield "</div>"


def _figure(title: str, picture: str, caption: str) -> str:
    image = f'<img src="{picture}" alt="{escape(title)}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _histogram(pictures: Pictures) -> str:
    """Draw the histogram as SVG, as high as it is wide like the pictures beside it."""
    width = 300 / len(pictures.counts)
    highest = math.log10(1 + max(pictures.counts)) or 1
    bars = []
    for position, count in enumerate(pictures.counts):
        height = 250 * math.log10(1 + count) / highest
        bars.append(
            f'<rect x="{10 + position * width:.2f}" y="{275 - height:.1f}" '
            f'width="{width * 0.85:.2f}" height="{height:.1f}"/>'
        )
    limit = number(pictures.limit)
    labels = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="13" fill="currentColor">'
        f"{text}</text>"
        for x, y, anchor, text in (
            (10, 300, "start", f"-{limit}" if pictures.limit else ""),
            (160, 300, "middle", "0"),
            (310, 300, "end", limit if pictures.limit else ""),
            (10, 16, "start", f"{max(pictures.counts)} pixels"),
        )
    )
    title = '<svg viewBox="0 0 320 320" role="img" aria-label="histogram of B - A">'
    return f"{title}{''.join(bars)}{labels}</svg>"


def _details(
    noun: str, rows: Sequence[Sequence[str]], titles: Sequence[str], *, figures: bool = False
) -> Iterator[str]:
    """List what may be long behind a line that opens it; a short list is open."""
    if rows:
        is_open = " open" if len(rows) <= 12 else ""
        yield f"<details{is_open}><summary>{len(rows)} {noun}{'s' * (len(rows) > 1)}</summary>"
        yield from table_of(titles, rows, figures=figures)
        yield "</details>"


def table_of(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False
) -> Iterator[str]:
    """Write a table; of `figures`, numbers are to the right."""
    yield f'<div class="wide"><table{" class=figures" if figures else ""}><tr>'
    yield "".join(f"<th>{escape(title)}</th>" for title in titles)
    yield "</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</table></div>"
