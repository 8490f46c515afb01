"""Whether what this process has imported is still what would be imported now."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_Identity = tuple[int, int, int]

INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Imported:
    """The files that this process has imported modules from, and the folders it found them in.

    Installing, upgrading or removing a package changes the folder that it is in. Of packages
    that lie elsewhere, as those in development do, all files count: also schemas.
    """

    files: dict[str, _Identity | None]
    trees: tuple[str, ...]
    within: dict[str, _Identity | None]

    @classmethod
    def now(cls) -> Self:
        """Describe what this process has imported."""
        installed = filter(lambda path: path.rpartition("/")[2] in INSTALLED, sys.path)
        paths = {*filter(None, map(_file_of, list(sys.modules.values()))), *installed}
        trees = tuple(sorted({*_trees()}))
        return cls(_identities(paths), trees, _identities(_files_below(trees)))

    def change(self) -> str:
        """Name a file that has changed since; empty if none has."""
        now = _identities(self.files) | _identities(_files_below(self.trees))
        before = self.files | self.within
        if now == before:
            return ""
        return next(path for path in (*now, *before) if now.get(path, ()) != before.get(path, ()))

    def shadowed_by(self, folder: str) -> str:
        """Name a file of a folder that Python would import instead of what is imported."""
        if folder in sys.path or folder in self.trees:
            return ""
        try:
            names = os.listdir(folder)  # noqa: PTH208 - of thousands of files
        except OSError:
            return ""
        for name in names:
            stem, _, ending = name.partition(".")
            module = sys.modules.get(stem)
            if module is None or (ending and not ending.endswith(("py", "so"))):
                continue
            file = os.path.join(folder, name)  # noqa: PTH118 - of thousands of names
            if not ending:
                file = os.path.join(file, "__init__.py")  # noqa: PTH118
            own = _file_of(module)
            if os.path.isfile(file) and own and not _is_same(file, own):  # noqa: PTH113
                return file
        return ""


def _file_of(module: object) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False


def _trees() -> Iterator[str]:
    """List the folders of packages that are in no folder of installed ones."""
    standard = sysconfig.get_path("stdlib")
    for name, module in list(sys.modules.items()):
        file = _file_of(module)
        is_package = "." not in name and hasattr(module, "__path__")
        if not is_package or not file or file.startswith(standard):
            continue
        folder = os.path.dirname(file)  # noqa: PTH120
        # A module of one file may call itself a package, as six does.
        if not {*INSTALLED}.intersection(Path(folder).parts[-2:]):
            yield folder


def _files_below(folders: tuple[str, ...]) -> Iterator[str]:
    for folder in folders:
        for path, below, files in os.walk(folder):
            below[:] = [name for name in below if name != "__pycache__" and name[0] != "."]
            yield from (f"{path}/{name}" for name in files)


def _identities(paths: Iterable[str]) -> dict[str, _Identity | None]:
    return {path: _identity(path) for path in paths}


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
