"""Which run owns a file that a product would replace: no work is overwritten without asking.

A file belongs to the run whose record names it, as long as it matches the record. One that was
changed since is somebody's work and is kept; one that was cut short may be replaced.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..exceptions import InputError, OutputError
from .fingerprint import FileContent
from .record import SUFFIX, Record, UnreadableRecordError, read_record


def changed_since(record: Record) -> str:
    """Say which product is whole, but not what its record says; empty if there is none."""
    what = changed_product(record)
    how = "calibrate that file to continue from it, or replace it with --overwrite"
    return f"{what}: {how}" if what else ""


def changed_product(record: Record) -> str:
    """Say only what was changed, and nothing of what to do about it."""
    for product in record.products:
        if Path(product.path).is_file() and not product.is_intact and _is_whole(product):
            return (
                f"{product.path} was changed since {_pipeline(record)} made it "
                f"({record.run.get('started', 'at an unknown time')})"
            )
    return ""


def made_by_another(record: Record, pipeline: str) -> str:
    """Say that the products are those of another pipeline class; empty if they are not."""
    made_by = record.dependencies.pipeline
    if _class(made_by) == _class(pipeline):
        return ""
    names = ", ".join(Path(product.path).name for product in record.products)
    return (
        f"{record.path.parent}: {names} made by {made_by} ({record.path.name}) would be replaced "
        f"by {pipeline}: choose another output folder, or replace with --overwrite"
    )


def check_readable(record: Path) -> None:
    """Refuse to replace products whose record is another user's, and unreadable for this one."""
    try:
        if record.exists():
            read_record(record)
    except UnreadableRecordError as error:
        raise OutputError(str(error)) from error
    except InputError:  # damaged
        return


def claims_of_others(places: Iterable[Path], own: Path) -> list[tuple[Record, FileContent]]:
    """List the files in these places that other records than one's own name as their products."""
    taken = {_normal(place) for place in places if place.is_file()}
    mine = _read(own)
    taken -= {_normal(product.path) for product in mine.products} if mine else set()
    return [
        (record, product)
        for folder in sorted({Path(place).parent for place in taken})
        for path in sorted(folder.glob(f"*{SUFFIX}"))
        for record in [_read(path, taken)]
        if record is not None and _normal(path) != _normal(own)
        for product in record.products
        if _normal(product.path) in taken
    ]


def check_replaceable(
    places: Iterable[Path],
    own: Path,
    pipeline: str,
    others: Iterable[tuple[Record, FileContent]],
) -> None:
    """Refuse to put products in the place of what is somebody else's, or changed since.

    `own` is the record of an earlier run that made the same; it need not exist.
    """
    taken = {_normal(place) for place in places if place.is_file()}
    record = _read(own)
    if record and any(_normal(product.path) in taken for product in record.products):
        why = made_by_another(record, pipeline) or changed_since(record)
        if why:
            raise OutputError(why)
    for other, product in others:
        if why := replaced(other, product):
            raise OutputError(why)


def replaced(record: Record, product: FileContent) -> str:
    """Say that a product of another run would be replaced; empty if it is there no more."""
    if not Path(product.path).is_file() or not (product.is_intact or _is_whole(product)):
        return ""
    return (
        f"{product.path} was made by {_pipeline(record)} ({record.path.name}) and would "
        "be replaced: choose another output folder, or replace with --overwrite"
    )


def is_whole(path: Path) -> bool | None:
    """Tell whether a file is there to its end; None where its format does not let one tell."""
    with path.open("rb") as file:
        beginning = file.read(9)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        end = file.read()
    try:
        if beginning == b"SIMPLE  =":
            return _is_whole_fits(path)
        if beginning.startswith(b"#ASDF"):
            return end.endswith(b"...\n") and _is_whole_asdf(path)
        if beginning.startswith(b"PAR1"):
            return end == b"PAR1"
        if beginning.startswith(b"{"):
            json.loads(path.read_text())
            return True
    except Exception:  # whatever astropy, asdf and json make of half a file
        return False
    return True if end.endswith(b"\n") else None


def _is_whole(product: FileContent) -> bool:
    """Tell whether a product is there to its end; where that is unknown, by its size."""
    path = Path(product.path)
    whole = is_whole(path)
    return path.stat().st_size >= product.size if whole is None else whole


def _is_whole_fits(path: Path) -> bool:
    from astropy.io import fits

    file_size = path.stat().st_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they are about is found out here
        with fits.open(path, lazy_load_hdus=False) as hdus:
            last = hdus[-1].fileinfo()
    with path.open("rb") as file:
        file.seek(last["datLoc"] + last["datSpan"])
        is_header_cut = file.read(8) == b"XTENSION"  # astropy leaves out what has half a header
    return bool(file_size >= last["datLoc"] + last["datSpan"] and not is_header_cut)


def _is_whole_asdf(path: Path) -> bool:
    import asdf

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with path.open("rb") as stream, asdf.open(stream, lazy_load=False, memmap=True) as file:
        return bool(file.tree)


def _read(path: Path, taken: Iterable[str] = ()) -> Record | None:
    try:
        return read_record(path) if path.exists() else None
    except UnreadableRecordError as error:
        if path.stat().st_uid in {Path(place).stat().st_uid for place in taken}:
            raise OutputError(str(error)) from error
        return None
    except InputError:  # it claims nothing
        return None


def _pipeline(record: Record) -> str:
    return str(record.run.get("pipeline", record.dependencies.pipeline))


def _normal(path: str | Path) -> str:
    return os.path.normpath(os.path.abspath(path))  # noqa: PTH100 - links stay as they are


def _class(path: str) -> tuple[str, str]:
    """Name a class by its package: modules may move within one from release to release."""
    return path.partition(".")[0], path.rpartition(".")[2]
