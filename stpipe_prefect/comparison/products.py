"""Two products compared, part by part."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..exceptions import InputError, StpipePrefectError, reason
from ..provenance.volatile import is_volatile
from .causes import Explanation, Records
from .contents import COMMENT, Content, Piece, opened
from .figures import Figures, Tolerance, figures_of
from .flags import Flag, flags_changed, holds_flags
from .sky import Offset, Sources, match_sources, offset_of


@dataclass(frozen=True)
class Change:
    """A card or value of metadata that differs; None stands for one that is absent."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Column:
    """A column of a table that differs: by its figures, or for the reason in `note`."""

    name: str
    note: str = ""
    figures: Figures | None = None


@dataclass(frozen=True)
class Part:
    """What was found of one part of two files.

    Attributes
    ----------
    name : str
        Of the extension, or of the array or WCS by its path.
    note : str
        Why there is nothing to compare: "only in A", another shape or type.
    shape : tuple of int
        Of the array; of a table, its number of rows.
    changes : list of Change
    figures : Figures or None
        Of the array.
    flags : dict of str to Flag
        Which changed, of an array of flags.
    columns : list of Column
        Those that differ; of a catalogue, over the sources that match.
    sources : Sources or None
        How the sources of a catalogue match.
    offset : Offset or None
        How far a WCS that differs is off.
    """

    name: str
    note: str = ""
    shape: tuple[int, ...] = ()
    changes: list[Change] = field(default_factory=list)
    figures: Figures | None = None
    flags: dict[str, Flag] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    sources: Sources | None = None
    offset: Offset | None = None

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs, or nothing by more than the tolerance."""
        return not (
            self.note
            or self.changes
            or self.columns
            or (self.figures is not None and self.figures.differing)
            or (self.sources is not None and not self.sources.is_complete)
        )


@dataclass(frozen=True)
class Comparison:
    """What was found of two products.

    Attributes
    ----------
    a, b : pathlib.Path
    parts : list of Part
    explanation : Explanation
        What their provenance records say about why.
    """

    a: Path
    b: Path
    parts: list[Part]
    explanation: Explanation

    @property
    def is_identical(self) -> bool:
        """Whether all parts are."""
        return all(part.is_identical for part in self.parts)

    @property
    def causes(self) -> list[str]:
        """What the two were made from that differs, in words."""
        return [cause.text for cause in self.explanation.causes]

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        parts = [{**asdict(part), "identical": part.is_identical} for part in self.parts]
        found: dict[str, Any] = _plain(
            {
                "a": str(self.a),
                "b": str(self.b),
                "identical": self.is_identical,
                "parts": parts,
                **asdict(self.explanation),
            }
        )
        return found


def compare_products(
    a: Path,
    b: Path,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    records: Records | None = None,
) -> Comparison:
    """Compare two products of any format: FITS, ASDF, catalogues, JSON, other files by their bytes.

    Parameters
    ----------
    a, b : pathlib.Path
        Differences are B - A; what is gained is in B and not in A.
    rtol, atol : float
        Numbers that differ by at most ``atol + rtol * |b|`` count as equal.
    records : Records, optional
        Records that were read for other products.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    with ExitStack() as stack:
        one, other = (stack.enter_context(opened(path)) for path in (a, b))
        try:
            parts = list(_parts(one, other, Tolerance(rtol, atol)))
        except StpipePrefectError:
            raise
        except Exception as error:  # whatever astropy and asdf make of arrays they cannot read
            raise InputError(f"{a}, {b}: cannot be compared: {reason(error)}") from error
    return Comparison(a, b, parts, (records or Records()).explain(a, b))


def _parts(a: Content, b: Content, tolerance: Tolerance) -> Iterator[Part]:
    for name in dict.fromkeys((*a.pieces, *b.pieces)):
        one, other = a.pieces.get(name), b.pieces.get(name)
        if one is None or other is None:
            yield Part(name, f"only in {'B' if one is None else 'A'}")
            continue
        changes = list(_changes(one, other, tolerance))
        if one.array is not None and other.array is not None:
            beside = a.pieces.get(_name_of_errors(name))
            err = beside.array() if beside is not None and beside.array is not None else None
            part = _of_arrays(name, one.array(), other.array(), err, b.telescope, tolerance)
        elif one.columns is not None and other.columns is not None:
            part = _of_tables(name, one.columns(), other.columns(), one.is_catalogue, tolerance)
        elif one.wcs is not None and other.wcs is not None and changes:
            part = Part(name, offset=_offset(one.wcs(), other.wcs()))
        else:
            kinds = [_kind(each) for each in (one, other)]
            part = Part(name, "" if kinds[0] == kinds[1] else " → ".join(kinds))
        yield replace(part, changes=changes)


def _kind(piece: Piece) -> str:
    if piece.array is not None:
        return "array"
    return "table" if piece.columns is not None else "no data"


def _changes(a: Piece, b: Piece, tolerance: Tolerance) -> Iterator[Change]:
    """List the values that differ and that no other piece has."""
    from astropy.utils.diff import diff_values

    for name in dict.fromkeys((*a.values, *b.values)):
        in_a, in_b = a.values.get(name), b.values.get(name)
        if (
            diff_values(in_a, in_b, tolerance.rtol, tolerance.atol)
            and not is_volatile(name.removesuffix(COMMENT))
            and not (name.endswith(COMMENT) and None in (in_a, in_b))
            and not (a.is_repeated and a.is_repeated(name))
        ):
            yield Change(name, in_a, in_b)


def _of_arrays(name: str, a: Any, b: Any, err: Any, telescope: str, tolerance: Tolerance) -> Part:
    if a.dtype.names and b.dtype.names:
        one, other = ({each: table[each] for each in table.dtype.names} for table in (a, b))
        return _of_tables(name, one, other, False, tolerance)
    note = _mismatch(a, b)
    if a.shape != b.shape:
        return Part(name, note)
    if not note and holds_flags(name, a):
        exact = figures_of(a, b, Tolerance())
        counts = Figures(exact.total, exact.differing)  # differences of bit masks say nothing
        return Part(name, note, a.shape, figures=counts, flags=flags_changed(a, b, telescope))
    if err is not None and err.shape != a.shape:
        err = None
    return Part(name, note, a.shape, figures=figures_of(a, b, tolerance, err))


def _name_of_errors(name: str) -> str:
    """Name the array of the errors that stands beside one of science data."""
    match = re.fullmatch(r"(.*\.)?(SCI|data)(,\d+)?", name)
    return f"{match[1] or ''}{_ERRORS[match[2]]}{match[3] or ''}" if match else ""


_ERRORS = {"SCI": "ERR", "data": "err"}


def _of_tables(
    name: str,
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    is_catalogue: bool,
    tolerance: Tolerance,
) -> Part:
    rows = [len(next(iter(columns.values()), ())) for columns in (a, b)]
    sources = None
    if is_catalogue and (matched := match_sources(a, b)):
        rows_a, rows_b, sources = matched
        a = {name: column[rows_a] for name, column in a.items()}
        b = {name: column[rows_b] for name, column in b.items()}
    elif rows[0] != rows[1]:
        return Part(name, f"{rows[0]} → {rows[1]} rows")
    columns = list(_columns(a, b, tolerance))
    return Part(name, "", (rows[0],), columns=columns, sources=sources)


def _columns(a: Mapping[str, Any], b: Mapping[str, Any], tolerance: Tolerance) -> Iterator[Column]:
    for name in dict.fromkeys((*a, *b)):
        if is_volatile(name):
            continue
        if name not in a or name not in b:
            yield Column(name, f"only in {'A' if name in a else 'B'}")
            continue
        in_a, in_b = _comparable(a[name]), _comparable(b[name])
        note = _mismatch(in_a, in_b)
        if in_a.shape != in_b.shape:
            yield Column(name, note)
            continue
        errors = next((a[each] for each in (f"{name}_ERROR", f"{name}_err") if each in a), None)
        figures = figures_of(in_a, in_b, tolerance, errors)
        if note or figures.differing:
            yield Column(name, note, figures)


def _comparable(column: Any) -> Any:
    """Make of a column with arrays of different lengths one with their bytes."""
    import numpy as np

    column = np.asarray(column)
    if column.dtype.kind != "O":
        return column
    found = np.empty(column.shape, object)
    found[...] = [np.asarray(each).tobytes() for each in column]
    return found


def _mismatch(a: Any, b: Any) -> str:
    """Say that shape or type of two arrays differ; byte order and length of texts do not count."""
    if a.shape != b.shape:
        return f"shape {_shape(a)} → {_shape(b)}"
    types = [array.dtype.newbyteorder("=") for array in (a, b)]
    is_text = all(each.kind in "SU" for each in types)
    return "" if types[0] == types[1] or is_text else f"type {types[0]} → {types[1]}"


def _shape(array: Any) -> str:
    return " × ".join(map(str, array.shape[::-1])) or "scalar"  # noqa: RUF001


def _offset(a: Any, b: Any) -> Offset | None:
    return offset_of(a, b) if a is not None and b is not None else None


def _plain(value: Any) -> Any:
    """Put what is no JSON into words: dates, values of numpy, and what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
