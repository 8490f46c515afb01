"""How good a trial is: figures of merit, from records or a function of the user's."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from statistics import fmean
from typing import Any

from stpipe_prefect.comparison.products import compare_products
from stpipe_prefect.exceptions import InputError, StpipePrefectError, UsageError, reason
from stpipe_prefect.provenance.dependencies import planned, row_name
from stpipe_prefect.provenance.record import Record

from .folders import BASE
from .records import records_in

DIFFERENCE = "median |Δ|/ERR to base"
"""Of the pixels that differ from the base's, how much in units of their error."""

Merit = Callable[[Path], float | None]
"""Judges a product by its path; None where that does not apply to it."""


@dataclass(frozen=True)
class Judged:
    """The figures of merit of a trial, by their names, such as ``"rate jump_fraction"``.

    Each is the mean over those products that have it.

    Attributes
    ----------
    name : str
    figures : mapping of str to float
    values : mapping of str to str
        Of the parameters that were asked for, as its runs had them.
    """

    name: str
    figures: Mapping[str, float]
    values: Mapping[str, str] = field(default_factory=dict)


def load_merit(text: str) -> Merit:
    """Import a function from ``"module:name"``, also of the current folder.

    Raises
    ------
    UsageError
        There is none.
    """
    if ":" not in text:
        raise UsageError(f"--merit {text}: expected MODULE:FUNCTION")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        merit = resolve_name(text)
    except Exception as error:  # whatever its module does
        raise UsageError(f"--merit {text}: cannot be imported: {reason(error)}") from error
    if not callable(merit):
        raise UsageError(f"--merit {text}: is no function, but a {type(merit).__name__}")
    found: Merit = merit
    return found


def judged(
    base: Path,
    folders: Mapping[str, Path],
    merit: str | None = None,
    parameters: Collection[str] = (),
) -> list[Judged]:
    """Judge trials, and the base first where it has products.

    Parameters
    ----------
    base : pathlib.Path
        Folder of the base.
    folders : mapping of str to pathlib.Path
        Those of the trials, by name.
    merit : str, optional
        ``"module:name"`` of a function of one's own.
    parameters : collection of str
        Those whose values are wanted, such as ``"steps.jump.rejection_threshold"``.
    """
    of_base = records_in(base)
    own = (merit, load_merit(merit)) if merit else None
    everyone = ({BASE: of_base} if of_base else {}) | {
        name: records_in(folder) for name, folder in folders.items()
    }
    return [
        Judged(name, _figures(records, base, own), _values(records, parameters))
        for name, records in everyone.items()
    ]


def figures_of(trials: Iterable[Judged]) -> list[str]:
    """Name the figures that trials have, in the order of the pipelines.

    Those of products that the base alone has are of no trial.
    """
    own = (trial.figures for trial in trials if trial.name != BASE)
    return list(dict.fromkeys(name for figures in own for name in figures))


def telling(trials: Sequence[Judged]) -> list[str]:
    """Name the figures in which trials differ, or differ from the base."""
    names = figures_of(trials)
    return [name for name in names if len({trial.figures.get(name) for trial in trials}) > 1]


def _values(records: Iterable[Record], parameters: Iterable[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {name: [] for name in parameters}
    for record in records:
        rows = {row_name(row): str(planned(row)) for row in record.dependencies.parameters}
        for name, values in found.items():
            value = rows.get(name.rpartition("steps.")[2])
            if value is not None and value not in values:
                values.append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _figures(
    records: Iterable[Record], base: Path, own: tuple[str, Merit] | None
) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in sorted(records, key=lambda each: str(each.run.get("started"))):
        for product in record.products:
            path = Path(product.path)
            kind = path.stem.rpartition("_")[2]
            for name, value in record.statistics.get(path.name, {}).items():
                found[f"{kind} {name}"].append(value)
            if own is not None and (value := _judge(path, *own)) is not None:
                found[own[0]].append(value)
            off = difference(base / path.name, path)
            if off is not None:
                found[f"{kind} {DIFFERENCE}"].append(off)
    return {name: fmean(values) for name, values in found.items()}


def _judge(product: Path, name: str, merit: Merit) -> float | None:
    try:
        value: Any = merit(product)
        value = None if value is None else float(value)
    except Exception as error:
        raise StpipePrefectError(f"--merit {name}: {product}: {reason(error)}") from error
    return value if value is not None and math.isfinite(value) else None


def difference(ours: Path, product: Path) -> float | None:
    """Compare science pixels with those of the base; shared ones are the same and not read."""
    if not ours.is_file() or ours == product:
        return None
    if ours.samefile(product):
        return 0.0
    with suppress(InputError):
        parts = compare_products(ours, product).parts
        figures = [part.figures for part in parts if part.figures]
        known = [each.median_in_err for each in figures if each.median_in_err is not None]
        is_same = bool(figures) and not any(each.differing for each in figures)
        return next(iter(known), 0.0 if is_same else None)
    return None
