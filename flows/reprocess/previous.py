"""Keeping products that newer ones take the place of."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stpipe_prefect.provenance.record import files_beside

from .archive import PREVIOUS
from .survey import Item


@contextmanager
def previous_products(items: Iterable[Item], date: str) -> Iterator[None]:
    """Keep those products that are replaced within the block, in ``previous/<date>`` beside them.

    They are linked there beforehand, which costs nothing: a product is replaced by renaming
    another over it. Links to what was not replaced are removed at the end.
    """
    kept = dict(_linked(items, date))
    try:
        yield
    finally:
        for old, place in kept.items():
            if place.exists() and _is_same(old, place):
                old.unlink()
        for folder in {old.parent for old in kept}:
            with suppress(OSError):  # it holds something
                folder.rmdir()
                folder.parent.rmdir()


def _linked(items: Iterable[Item], date: str) -> Iterator[tuple[Path, Path]]:
    for item in items:
        folder = item.folder / PREVIOUS / date
        for plan in item.stale:
            about = [plan.record, *files_beside(plan.record)] if plan.record else []
            for path in (*plan.products, *about):
                if path.is_file() and not (folder / path.name).exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    _link(path, folder / path.name)
                    yield folder / path.name, path


def _link(path: Path, name: Path) -> None:
    try:
        name.hardlink_to(path)
    except OSError:  # not every file system knows links
        shutil.copy2(path, name)


def _is_same(path: Path, other: Path) -> bool:
    one, two = (each.stat() for each in (path, other))
    return (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns)
