"""The content of a product, part by part, whatever format it has."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ..exceptions import InputError, NoInputError, reason
from ..provenance.fingerprint import sha256_of
from ..provenance.ownership import is_whole
from .trees import Tree, is_in_header, leaves

CATALOGUES = (".ecsv", ".parquet")
COMMENT = " (comment)"
"""What the name of a card is followed by where its comment is meant."""


@dataclass(frozen=True)
class Piece:
    """A part of a file: an extension of FITS, an array or the metadata of ASDF, a table.

    Attributes
    ----------
    values : mapping
        Cards or metadata, by name.
    array, columns, wcs : callable, optional
        Read what else the piece is: an array, the columns of a table by name, or an object with
        the interface of astropy's APE 14; None where it needs a package that is missing.
    is_repeated : callable, optional
        Tells by its name whether a value is one that another piece has, too.
    is_catalogue : bool
        Whether the rows of the table are sources on the sky.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    array: Callable[[], Any] | None = None
    columns: Callable[[], Mapping[str, Any]] | None = None
    wcs: Callable[[], Any] | None = None
    is_repeated: Callable[[str], bool] | None = None
    is_catalogue: bool = False


@dataclass(frozen=True)
class Content:
    """What is in a file: its pieces by name, and the telescope that names its flags."""

    pieces: Mapping[str, Piece]
    telescope: str = ""


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """Open a product; its arrays are read when they are asked for."""
    try:
        whole = is_whole(path)
    except OSError as error:
        kind = NoInputError if isinstance(error, FileNotFoundError) else InputError
        raise kind(f"{path}: cannot be read: {reason(error)}") from error
    if whole is False:
        raise InputError(f"{path}: damaged or truncated; make it again, then compare")
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # about how a file was written, not about what is in it
        try:
            content = _reader(path)(path, stack)
        except Exception as error:  # whatever astropy and asdf make of such a file
            raise InputError(f"{path}: cannot be read: {reason(error)}") from error
        yield content


def _reader(path: Path) -> Callable[[Path, ExitStack], Content]:
    with path.open("rb") as file:
        beginning = file.read(9)
    if beginning == b"SIMPLE  =":
        return _of_fits
    if beginning.startswith(b"#ASDF"):
        return _of_asdf
    if path.suffix in CATALOGUES:
        return _of_catalogue
    return _of_json if path.suffix == ".json" else _of_bytes


def _of_fits(path: Path, stack: ExitStack) -> Content:
    from astropy.io import fits

    hdus = stack.enter_context(fits.open(path))
    primary = hdus[0].header
    pieces: dict[str, Piece] = {}
    for hdu in hdus:
        if hdu.name == "ASDF" and not hdu.is_image:
            tree = Tree(io.BytesIO(hdu.data.tobytes()), stack)
            pieces |= _of_tree(tree, "ASDF", partial(is_in_header, primary.get("DATAMODL", "")))
            continue
        name = _new_name(hdu.name if hdu.ver == 1 else f"{hdu.name},{hdu.ver}", pieces)
        pieces[name] = Piece(
            _cards(hdu.header),
            array=partial(getattr, hdu, "data") if hdu.is_image and hdu.shape else None,
            columns=None if hdu.is_image else partial(_columns_of_fits, hdu),
        )
    return Content(pieces, str(primary.get("TELESCOP", "")).upper())


def _new_name(name: str, taken: Container[str]) -> str:
    """Name something of a FITS file that may have the name of another thing, or none."""
    names = (f"{name}[{number}]" for number in count(2))
    return name if name and name not in taken else next(each for each in names if each not in taken)


def _cards(header: Any) -> dict[str, Any]:
    """Give the values and comments of cards; of a keyword that is repeated, one by one."""
    found: dict[str, Any] = {}
    for card in header.cards:
        if card.keyword:
            name = _new_name(card.keyword, found)
            found[name] = card.value
            found[f"{name}{COMMENT}"] = card.comment
    return found


def _columns_of_fits(hdu: Any) -> dict[str, Any]:
    return {name: hdu.data[name] for name in hdu.columns.names}


def _of_asdf(path: Path, stack: ExitStack) -> Content:
    # As bytes: asdf takes a path for a URI, in which # ? and % have a meaning.
    tree = Tree(stack.enter_context(path.open("rb")), stack)
    pieces = _of_tree(tree, "metadata")
    telescope = pieces["metadata"].values.get("roman.meta.telescope", "")
    return Content(pieces, str(telescope).upper())


def _of_tree(
    tree: Tree, rest: str, is_repeated: Callable[[str], bool] | None = None
) -> dict[str, Piece]:
    """Make a piece of each array and WCS, and one, `rest`, of all other values."""
    arrays = {name: Piece(array=partial(tree.array, name)) for name in tree.arrays}
    wcs = {
        name: Piece(values, wcs=partial(tree.wcs_object, name)) for name, values in tree.wcs.items()
    }
    return {rest: Piece(tree.values, is_repeated=is_repeated), **arrays, **wcs}


def _of_catalogue(path: Path, stack: ExitStack) -> Content:
    from astropy.table import Table

    table = Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "parquet")
    units = {f"{name} (unit)": str(table[name].unit or "") for name in _with_units(table)}
    values = {**dict(leaves(dict(table.meta))), **units}
    if path.suffix == ".parquet":
        values |= _metadata_of_roman(path)
    columns = _columns_of_table(table)
    return Content({"sources": Piece(values, columns=lambda: columns, is_catalogue=True)})


def _metadata_of_roman(path: Path) -> dict[str, str]:
    """Read what astropy leaves out: the metadata that roman_datamodels puts into the schema."""
    from pyarrow.parquet import read_schema

    found = (read_schema(path).metadata or {}).items()
    return {name.decode(): value.decode() for name, value in found if name.startswith(b"roman.")}


def _with_units(table: Any) -> list[str]:
    return [name for name in table.colnames if hasattr(table[name], "unit")]


def _columns_of_table(table: Any) -> dict[str, Any]:
    """Give the columns as arrays; positions on the sky as two, in degrees."""
    import numpy as np

    found: dict[str, Any] = {}
    for name in table.colnames:
        column = table[name]
        if hasattr(column, "ra"):
            found[f"{name}.ra"], found[f"{name}.dec"] = column.ra.deg, column.dec.deg
        elif np.ma.isMaskedArray(column) and column.dtype.kind == "f":
            found[name] = np.asarray(column.filled(np.nan))
        elif np.ma.isMaskedArray(column):
            found[name] = np.asarray(column.filled())
        else:
            found[name] = np.asarray(column)
    return found


def _of_json(path: Path, stack: ExitStack) -> Content:
    return Content({"content": Piece(dict(leaves(json.loads(path.read_text()))))})


def _of_bytes(path: Path, stack: ExitStack) -> Content:
    return Content({"content": Piece({"size": path.stat().st_size, "sha256": sha256_of(path)})})
