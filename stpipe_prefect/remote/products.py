"""Products in a store: complete or absent, and their record last.

The object that is a run's record says at first which products are being uploaded, and is replaced
by the record when all are there. So what a killed run leaves is named, and no record vouches for
it; the next run of that name removes it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..exceptions import NoInputError
from ..provenance.record import (
    LOG_SUFFIX,
    LOOKS_SUFFIX,
    SUFFIX,
    Record,
    files_beside,
    read_record,
)
from .stand_ins import fetch, object_of, side_by_side, stand_in, uploaded
from .store import Mark, listed, remove, upload, write
from .urls import local_path, url_of

SCHEMA = "stpipe_prefect/unfinished-1.0.0"
"""Of what is in the place of a record while products are uploaded."""

ABOUT_RUNS = (LOG_SUFFIX, LOOKS_SUFFIX)
"""What is beside records, and only reports read."""


class ProductsFolder:
    """What is here of a folder of products in a store.

    Parameters
    ----------
    folder : pathlib.Path
        What stands for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url = url_of(folder)
        self._records: set[Path] = set()
        self._left: dict[Path, list[str]] = {}

    def bring(self, beginnings: Collection[str]) -> None:
        """Have the records that begin so, and stand-ins for all else that does."""
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = {
            self._folder / name: mark
            for name, mark in listed(self._url, beginnings).items()
            if not name.endswith(ABOUT_RUNS)
        }
        self._left |= bring_objects(paths)
        self._records.update(path for path in paths if _is_record(path) and path.exists())

    def clear(self, root: str) -> None:
        """Remove what killed runs have left of products with this root of their names."""
        for record, names in self._left.items():
            stem = record.name.removesuffix(SUFFIX).rpartition(".")[0]
            if root not in (stem, stem.rpartition("_")[0], stem.partition("+")[0]):
                continue
            left = [local_path(f"{self._url}/{name}") for name in names]
            remove(map(url_of, (*left, record)))
            for path in left:
                path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Upload what runs have made since: products, logs and, last, the record of each."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if object_of(path) is None:
                self._publish(read_record(path))
        self._records = {*self._folder.glob(f"*{SUFFIX}")}

    def _publish(self, record: Record) -> None:
        stored = [file for file in record.products if url_of(file.path)]
        files = [Path(file.path) for file in stored]
        beside = [path for path in files_beside(record.path) if path.is_file()]
        names = [url_of(file).removeprefix(f"{self._url}/") for file in (*files, *beside)]
        write(_unfinished(names), url_of(record.path))
        for path in self._records:  # what the run has put others in the place of
            if not path.exists():
                remove(map(url_of, (path, *files_beside(path))))
        remove(url_of(path) for path in files_beside(record.path) if path not in beside)
        side_by_side(_upload, [*files, *beside])
        marks = {str(file): object_of(file) or Mark(0, "") for file in files}
        products = [
            replace(file, mtime_ns=0, ctime_ns=0, mark=marks[file.path].mark)
            if file.path in marks
            else file
            for file in record.products
        ]
        record.path.write_text(replace(record, products=products).as_text())
        _upload(record.path)


def bring_objects(found: Mapping[Path, Mark]) -> dict[Path, list[str]]:
    """Have stand-ins for objects, and records whole.

    Records of uploads that did not end are not kept, and given with their files.
    """
    left: dict[Path, list[str]] = {}

    def bring(path: Path) -> None:
        try:
            fetch(path)
        except NoInputError:  # another run replaces it
            path.unlink()
            return
        if (files := _left_by(path)) is not None:
            path.unlink()
            left[path] = files

    for path, mark in found.items():
        stand_in(path, mark)
    side_by_side(bring, filter(_is_record, found))
    return left


def bring_reported(folder: Path) -> None:
    """Fetch what a report reads of a folder in a store: records, logs and quick looks."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        folder / name: mark
        for name, mark in listed(url_of(folder)).items()
        if name.endswith((SUFFIX, *ABOUT_RUNS))
    }
    bring_objects(found)
    side_by_side(fetch, filter(Path.exists, found))


def _is_record(path: Path) -> bool:
    return path.name.endswith(SUFFIX)


def _upload(path: Path) -> None:
    uploaded(path, upload(path, url_of(path)))


def _unfinished(names: Iterable[str]) -> str:
    about = {
        "schema": SCHEMA,
        "files": [*names],
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def _left_by(path: Path) -> list[str] | None:
    """List the files that an upload names, if this is what it began with, and no record."""
    with suppress(ValueError, AttributeError, TypeError):
        content = json.loads(path.read_text())
        if content.get("schema") == SCHEMA:
            return [str(name) for name in content["files"]]
    return None
