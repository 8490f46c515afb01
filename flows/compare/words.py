"""What was found of two products, in words and cells of a table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap
from typing import Any

from stpipe_prefect.comparison.figures import Figures
from stpipe_prefect.comparison.flags import Flag
from stpipe_prefect.comparison.folders import FolderComparison
from stpipe_prefect.comparison.products import Comparison, Part

FIGURES = ("differ", "max |Δ|", "median |Δ|", "max |Δ|/ERR", "median |Δ|/ERR")
"""Titles of the cells that `figures_of` fills."""


def verdict(found: Comparison | FolderComparison) -> str:
    """Say in one line what was found."""
    what = found.parts if isinstance(found, Comparison) else found.products
    every = counted(len(what), "part" if isinstance(found, Comparison) else "product")
    if found.is_identical:
        return f"identical: {every}"
    text = f"different: {sum(not each.is_identical for each in what)} of {every}"
    if isinstance(found, FolderComparison):
        for names, where in (
            (found.only_in_a, "only in A"),
            (found.only_in_b, "only in B"),
            (found.unreadable, "unreadable"),
        ):
            text += f", {len(names)} {where}" if names else ""
    return text


def row_of(part: Part) -> tuple[str, ...]:
    """Fill the cells of a part: its name, its shape, figures and remarks."""
    remarks = ["identical"] if part.is_identical else []
    if part.note:
        remarks.append(part.note)
    if part.figures and part.figures.one_sided:
        remarks.append(f"{part.figures.one_sided} finite in one only")
    if part.flags:
        remarks.append(", ".join(starmap(_flag, part.flags.items())))
    if part.sources:
        remarks.append(_sources(part))
    if part.columns:
        remarks.append(counted(len(part.columns), "column"))
    if part.offset and part.offset.largest is not None:
        remarks.append(f"offset at most {_angle(part.offset.largest)}")
    if part.offset and part.offset.wavelength is not None:
        remarks.append(f"wavelength differs by at most {number(part.offset.wavelength)}")
    if part.changes:
        remarks.append(counted(len(part.changes), "value"))
    shape = " × ".join(map(str, part.shape[::-1]))  # noqa: RUF001 - as people write sizes
    if part.shape and not part.figures:
        shape = counted(part.shape[0], "row")
    return part.name, shape, *figures_of(part.figures), "; ".join(remarks)


def figures_of(figures: Figures | None) -> tuple[str, ...]:
    """Fill the cells of figures."""
    if figures is None:
        return ("",) * len(FIGURES)
    share = 100 * figures.differing / max(figures.total, 1)
    return (
        f"{figures.differing} ({share:.3g} %)" if figures.differing else "none",
        *map(number, (figures.largest, figures.median)),
        *map(number, (figures.largest_in_err, figures.median_in_err)),
    )


def columns_of(parts: Iterable[Part]) -> list[tuple[str, ...]]:
    """Fill the cells of the columns that differ, those that do so by most errors first."""
    found = [(part, column) for part in parts for column in part.columns]
    found.sort(key=lambda pair: -((pair[1].figures and pair[1].figures.largest_in_err) or 0))
    return [
        (f"{part.name} {column.name}", *figures_of(column.figures), column.note)
        for part, column in found
    ]


def changes_of(parts: Iterable[Part]) -> list[tuple[str, str, str]]:
    """Fill the cells of the values that differ."""
    return [
        (f"{part.name} {change.name}", value(change.a), value(change.b))
        for part in parts
        if part.offset is None  # of a WCS, the offset says what matters
        for change in part.changes
    ]


def science_of(found: Comparison) -> tuple[str, str]:
    """Give the largest and the median difference of the science data, in units of its error."""
    for part in found.parts:
        if part.figures and part.figures.largest_in_err is not None:
            return number(part.figures.largest_in_err), number(part.figures.median_in_err)
    return "", ""


def unlisted(found: Comparison) -> str:
    """Name the parts that differ, if they are few."""
    names = [part.name for part in found.parts if not part.is_identical]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def counted(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def number(figure: float | None) -> str:
    """Write a figure in few digits."""
    return "" if figure is None else f"{figure:.4g}"


def value(value: Any) -> str:
    """Write the value of a card."""
    return "absent" if value is None else str(value)


def shown(text: str) -> str:
    """Cut what is too long for a cell."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _flag(name: str, flag: Flag) -> str:
    gained = f" +{flag.gained}" if flag.gained else ""
    return f"{name}{gained}" + (f" -{flag.lost}" if flag.lost else "")


def _sources(part: Part) -> str:
    sources = part.sources
    assert sources is not None
    text = f"{sources.matched} sources matched, of {sources.in_a} and {sources.in_b}"
    if sources.largest is not None:
        text += f"; offset at most {_angle(sources.largest)}"
    if sources.flux_ratio is not None:
        text += f"; {sources.flux} ratio {sources.flux_ratio:.6g}"
    return text


def _angle(arcsec: float) -> str:
    return f"{arcsec:.3g} arcsec" if arcsec >= 0.1 else f"{1000 * arcsec:.3g} mas"
