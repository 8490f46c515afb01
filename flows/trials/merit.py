"""How good a trial is: figures of merit, from records or a function of the user's."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from statistics import fmean
from typing import Any

from stpipe_prefect.comparison.products import compare_products
from stpipe_prefect.exceptions import InputError, StpipePrefectError, UsageError, reason
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
    """

    name: str
    figures: Mapping[str, float]


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


def judged(base: Path, folders: Mapping[str, Path], merit: str | None = None) -> list[Judged]:
    """Judge trials, and the base first where it has products.

    Parameters
    ----------
    base : pathlib.Path
        Folder of the base.
    folders : mapping of str to pathlib.Path
        Those of the trials, by name.
    merit : str, optional
        ``"module:name"`` of a function of one's own.
    """
    of_base = records_in(base)
    own = (merit, load_merit(merit)) if merit else None
    everyone = ({BASE: of_base} if of_base else {}) | {
        name: records_in(folder) for name, folder in folders.items()
    }
    return [Judged(name, _figures(records, base, own)) for name, records in everyone.items()]


def telling(trials: Iterable[Judged]) -> list[str]:
    """Name the figures in which trials differ, in the order of the pipelines."""
    trials = list(trials)
    names = dict.fromkeys(name for trial in trials for name in trial.figures)
    return [name for name in names if len({trial.figures.get(name) for trial in trials}) > 1]


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
            difference = _difference(base / path.name, path)
            if difference is not None:
                found[f"{kind} {DIFFERENCE}"].append(difference)
    return {name: fmean(values) for name, values in found.items()}


def _judge(product: Path, name: str, merit: Merit) -> float | None:
    try:
        value: Any = merit(product)
        value = None if value is None else float(value)
    except Exception as error:
        raise StpipePrefectError(f"--merit {name}: {product}: {reason(error)}") from error
    return value if value is not None and math.isfinite(value) else None


def _difference(ours: Path, product: Path) -> float | None:
    """Compare science pixels with those of the base; shared ones are the same and not read."""
    if not ours.is_file() or ours == product or ours.samefile(product):
        return None
    with suppress(InputError):
        for part in compare_products(ours, product).parts:
            if part.figures and part.figures.median_in_err is not None:
                return part.figures.median_in_err
    return None
