"""The local files that stand for objects, and how much of each is here.

Planning asks for sizes and headers. It gets sparse files of the objects' sizes, with the headers
in them; the pixels of these are holes, and nothing that computes ever sees them. A run fetches all
it reads. Each has the time of its object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .headers import copy_header
from .store import Mark, download
from .urls import url_of

Thing = TypeVar("Thing")

AT_A_TIME = 8
"""Objects that are fetched side by side."""

_SIZE, _HEADER, _WHOLE = range(3)


@dataclass(frozen=True)
class _StandIn:
    mark: Mark
    here: int
    state: tuple[int, int, int]


_known: dict[str, _StandIn] = {}
"""Those of this process, by their paths."""


def object_of(path: str | Path) -> Mark | None:
    """Give the mark of the object that a file stands for; None for a file of its own.

    A product that takes the place of a stand-in is such a file until it is uploaded.
    """
    known = _known.get(str(path))
    return known.mark if known and known.state == _state(Path(path)) else None


def is_whole(path: str | Path) -> bool:
    """Tell whether all of a file is here."""
    return object_of(path) is None or _known[str(path)].here == _WHOLE


def stand_in(path: Path, mark: Mark) -> None:
    """Put a file that has nothing but the size in the place of an object, unless one is there."""
    if object_of(path) == mark:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(mark.size)
    _note(path, mark, _SIZE)


def bring_header(path: str | Path) -> None:
    """Fetch the header of an object, if less than that is here; small objects whole."""
    path = Path(path)
    if (mark := object_of(path)) and _known[str(path)].here == _SIZE:
        if copy_header(url_of(path), path, mark.size):
            _note(path, mark, _HEADER)
        else:
            fetch(path)


def fetch(path: str | Path) -> None:
    """Fetch an object whole, if less than that is here; whatever is no stand-in stays as it is."""
    path = Path(path)
    if not is_whole(path):
        uploaded(path, download(url_of(path), path, object_of(path)))


def uploaded(path: Path, mark: Mark) -> None:
    """Note that a file, as it is now, is what an object holds."""
    _note(path, mark, _WHOLE)


def side_by_side(do: Callable[[Thing], object], things: Iterable[Thing]) -> None:
    """Do something with several objects at a time; the first error ends it."""
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="store") as threads:
        for _ in threads.map(do, things):
            pass


def _note(path: Path, mark: Mark, here: int) -> None:
    if mark.modified:
        os.utime(path, (mark.modified, mark.modified))
    _known[str(path)] = _StandIn(mark, here, _state(path))


def _state(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino)
