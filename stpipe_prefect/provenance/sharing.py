"""A run whose products and files beside them another folder has as well: nothing is computed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..products.sharing import Way, note, share
from ..products.staging import staged_products
from .dependencies import Dependencies
from .fingerprint import FileContent
from .record import Record, files_beside

logger = logging.getLogger(__name__)


def is_shareable(record: Record) -> bool:
    """Tell whether another folder can have all that a run made: it lies beside the record."""
    folder = record.path.parent.absolute()
    return all(Path(product.path).absolute().is_relative_to(folder) for product in record.products)


def share_run(
    record: Record,
    folder: Path,
    made_from: Dependencies,
    *,
    origin: str = "",
    obsolete: Iterable[Path] = (),
) -> Record:
    """Have another folder share what a run made, and have a record of it, written last.

    Parameters
    ----------
    record : Record
        Of the run; its products are intact.
    folder : pathlib.Path
        The other folder.
    made_from : Dependencies
        Those of the record, as they are found from the other folder.
    origin : str
        What the record there says of whom it shares the products with; empty for nobody.
    obsolete : iterable of pathlib.Path
        Records in the folder that this one takes the place of, besides that of its name.

    Returns
    -------
    Record
        That in the other folder.

    Raises
    ------
    OutputError
        The folder cannot be written to, or another run is at it.
    """
    source, path = record.path.parent.absolute(), folder / record.path.name
    contents = {Path(each.path).absolute().relative_to(source): each for each in record.products}
    ways: dict[Path, Way] = {}
    with staged_products(folder, record.run.get("name") or record.path.name) as staging:
        for name, content in contents.items():
            place = staging.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            ways[name] = share(source / name, place, content.sha256)
        beside = [file for file in files_beside(record.path) if file.is_file()]
        extra = [Path(shutil.copy(file, staging.folder)) for file in beside]
        replaced = {path, *obsolete}
        old = {file for each in replaced for file in files_beside(each)}
        staging.publish(obsolete=replaced | old, extra=extra)
        for name, way in ways.items():
            if way is Way.LINK:
                note(folder / name, contents[name].sha256)
        about = {key: value for key, value in record.run.items() if key != "shared"}
        there = replace(
            record,
            path=path,
            dependencies=made_from,
            run=about | ({"shared": origin} if origin else {}),
            products=[_placed(content, folder / name) for name, content in contents.items()],
            fingerprint=None,
        )
        there.write(by_way_of=staging.folder)
    if copied := [str(name) for name, way in ways.items() if way is Way.COPY]:
        names = ", ".join(copied)
        logger.warning("%s: copied, because %s can neither clone nor link it", names, folder)
    return there


def _placed(content: FileContent, file: Path) -> FileContent:
    """Describe known content in another file."""
    stat = file.stat()
    path = str(file.absolute())
    return replace(content, path=path, mtime_ns=stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns)
