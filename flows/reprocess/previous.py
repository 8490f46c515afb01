"""Keeping products that newer ones take the place of."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stpipe_prefect.provenance.record import files_beside
from stpipe_prefect.remote import store
from stpipe_prefect.remote.stand_ins import side_by_side
from stpipe_prefect.remote.urls import url_of

from .archive import PREVIOUS
from .survey import Item


@contextmanager
def previous_products(items: Iterable[Item], date: str) -> Iterator[None]:
    """Keep those products that are replaced within the block, in ``previous/<date>`` beside them.

    They are linked there beforehand, which costs nothing: a product is replaced by renaming
    another over it. A store copies them. Links to what was not replaced, and copies of it, are
    removed at the end.
    """
    places = dict(_places(items, date))
    kept: dict[Path, object] = {}

    def keep(path: Path) -> None:
        state = _state(path)
        if state and not _state(places[path]):
            _copy(path, places[path])
            kept[path] = state

    def drop(path: Path) -> None:
        if _state(path) == kept[path]:
            _remove(places[path])

    try:
        side_by_side(keep, places)
        yield
    finally:
        side_by_side(drop, kept)
        for folder in {place.parent for place in places.values()}:
            with suppress(OSError):  # it holds something, or is in a store
                folder.rmdir()
                folder.parent.rmdir()


def _places(items: Iterable[Item], date: str) -> Iterator[tuple[Path, Path]]:
    """Say of each product, and of what is beside its record, where it is kept."""
    for item in items:
        for plan in item.stale:
            about = [plan.record, *files_beside(plan.record)] if plan.record else []
            for path in (*plan.products, *about):
                yield path, item.folder / PREVIOUS / date / path.name


def _state(path: Path) -> object:
    """Give what changes with a product that is replaced; None if it is not there."""
    if url := url_of(path):
        return store.mark_of(url)
    if not path.is_file():
        return None
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _copy(path: Path, place: Path) -> None:
    if url := url_of(path):
        store.copy(url, url_of(place))
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.hardlink_to(path)
    except OSError:  # not every file system knows links
        shutil.copy2(path, place)


def _remove(place: Path) -> None:
    if url := url_of(place):
        store.remove([url])
    else:
        place.unlink()
