"""Whose a file is that a product would take the place of: nobody's work is overwritten unasked.

A file belongs to the run whose record names it, as long as it is what the record says. Where it
was changed since, it is somebody's work; where it was cut short, it is nobody's.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..exceptions import InputError, OutputError
from .provenance import SUFFIX, Record, read_record


def changed_since(record: Record) -> str:
    """Say which product is whole, but not what its record says; empty if there is none."""
    for product in record.products:
        path = Path(product.path)
        if path.is_file() and not product.is_intact and is_whole(path):
            return (
                f"{path} was changed since {record.run['pipeline']} made it "
                f"({record.run['started']}): calibrate that file to go on from it, or replace it "
                "with --overwrite"
            )
    return ""


def made_by_another(record: Record, pipeline: str) -> str:
    """Say that the products are those of another pipeline class; empty if they are not."""
    made_by = record.ingredients.pipeline
    if _class(made_by) == _class(pipeline):
        return ""
    names = ", ".join(Path(product.path).name for product in record.products)
    return (
        f"{record.path.parent}: {names} made by {made_by} ({record.path.name}) would be replaced "
        f"by {pipeline}: choose another output folder, or replace with --overwrite"
    )


def check_replaceable(places: Iterable[Path], own: Path, pipeline: str) -> None:
    """Refuse to put products in the place of what is somebody else's.

    Parameters
    ----------
    places : iterable of pathlib.Path
        Where products are to go.
    own : pathlib.Path
        The record of an earlier run that made the same; it need not exist.
    pipeline : str
        Path of the class.

    Raises
    ------
    OutputError
        A file is there that another record names, or that was changed since it was made.
    """
    record = _read(own)
    named = {Path(product.path).name for product in record.products} if record else set()
    taken = {place.name: place for place in places if place.is_file()}
    if record and taken.keys() & named:
        why = made_by_another(record, pipeline) or changed_since(record)
        if why:
            raise OutputError(why)
    for folder in {place.parent for name, place in taken.items() if name not in named}:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            other = _read(path) if path != own else None
            for product in other.products if other else ():
                place = taken.get(Path(product.path).name)
                if other and place and product.is_intact and place.name not in named:
                    raise OutputError(
                        f"{place} was made by {other.run['pipeline']} ({path.name}) and would be "
                        "replaced: choose another output folder, or replace with --overwrite"
                    )


def is_whole(path: Path) -> bool:
    """Tell whether a file can be opened, as far as its format lets one tell, to its end."""
    with path.open("rb") as file:
        beginning = file.read(9)
    try:
        if beginning == b"SIMPLE  =":
            return _is_whole_fits(path)
        if beginning.startswith(b"#ASDF"):
            return _is_whole_asdf(path)
        if beginning.startswith(b"{"):
            json.loads(path.read_text())
            return True
        return path.read_bytes().endswith(b"\n")
    except Exception:  # whatever astropy, asdf and json make of half a file
        return False


def _is_whole_fits(path: Path) -> bool:
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they are about is found out here
        with fits.open(path, lazy_load_hdus=False) as hdus:
            last = hdus[-1].fileinfo()
    return bool(path.stat().st_size >= last["datLoc"] + last["datSpan"])


def _is_whole_asdf(path: Path) -> bool:
    import asdf

    with asdf.open(path, lazy_load=False) as file:
        return bool(file.tree)


def _read(path: Path) -> Record | None:
    try:
        return read_record(path) if path.exists() else None
    except InputError:  # it claims nothing that could be told
        return None


def _class(path: str) -> tuple[str, str]:
    """Name a class by its package: modules may move within one from release to release."""
    return path.partition(".")[0], path.rpartition(".")[2]
