"""Fingerprints: equal content has equal fingerprints, also in another process.

Types are registered with `fingerprint`; a type that is not registered has none.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, singledispatch
from pathlib import Path
from typing import Any

from ..exceptions import StpipePrefectError
from ..products.sharing import noted
from ..remote.stand_ins import fetch, is_whole, object_of
from ..remote.urls import as_urls, is_url, local_path, takes_urls
from .volatile import is_volatile

_IN_MEMORY = "memory:/"
"""What stands for the folder of what is in no file."""


class NoFingerprintError(StpipePrefectError):
    """Nobody can say of such a thing whether it is the same as another time."""


@singledispatch
def fingerprint(thing: Any) -> str:
    """Give the sha256 of a plain value, of a file's content, or of a collection of these."""
    raise NoFingerprintError(f"no fingerprint of a {type(thing).__name__}: give a file instead")


@fingerprint.register(type(None))
@fingerprint.register(bool)
@fingerprint.register(int)
@fingerprint.register(float)
@fingerprint.register(str)
def _of_plain(thing: Any) -> str:
    return _sha256(json.dumps(thing))


@fingerprint.register(list)
@fingerprint.register(tuple)
def _of_items(thing: Iterable[Any]) -> str:
    return _sha256(f"[{','.join(map(fingerprint, thing))}]")


@fingerprint.register(Mapping)
def _of_mapping(thing: Mapping[str, Any]) -> str:
    items = [f"{json.dumps(key)}:{fingerprint(thing[key])}" for key in sorted(thing)]
    return _sha256(f"{{{','.join(items)}}}")


@fingerprint.register(Path)
def _of_file(thing: Path) -> str:
    return FileContent.of(thing).sha256


@dataclass(frozen=True)
class FileContent:
    """What was in a file, and how it is known without reading that it still is.

    Attributes
    ----------
    path : str
    size : int
        Bytes.
    mtime_ns, ctime_ns : int
        When the content was changed last, and when anything about the file was; nanoseconds.
    sha256 : str
        Empty of an object in a store that is not here.
    mark : str
        Of an object in a store, its etag or version, in place of the times; its path here is that
        of its stand-in, and in a record its URL.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str
    mark: str = ""

    @classmethod
    def of(cls, path: Path, known: FileContent | None = None) -> FileContent:
        """Describe a file as it is; one that is known and untouched since is not read again."""
        if known is not None and known.path == str(path) and known.is_untouched:
            return known
        if here := object_of(path):
            sha256 = sha256_of(path) if is_whole(path) else ""
            return cls(str(path), here.size, 0, 0, sha256, here.mark)
        stat = path.stat()
        times = (stat.st_mtime_ns, stat.st_ctime_ns)
        sha256 = noted(path, stat) or _content(path.absolute(), stat.st_size, *times)
        return cls(str(path), stat.st_size, *times, sha256)

    @property
    def is_untouched(self) -> bool:
        """Whether the file is there and was not touched since; false does not mean changed.

        The ctime of a file that folders share changes with each link to it, and does not count.
        """
        if self.mark:
            here = object_of(self.path)
            return here is not None and (here.size, here.mark) == (self.size, self.mark)
        path = Path(self.path)
        try:
            stat = path.stat()
        except OSError:
            return False
        if (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns):
            return False
        return stat.st_ctime_ns == self.ctime_ns or noted(path, stat) == self.sha256

    @property
    def is_intact(self) -> bool:
        """Whether the content is the same; the file is read if it was touched."""
        return self.is_untouched or self.is_verified

    @property
    def is_verified(self) -> bool:
        """Whether the content is the same, found out by reading it."""
        path = Path(self.path)
        try:
            if path.stat().st_size == self.size:
                fetch(path)
            return path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False

    @property
    def is_open(self) -> bool:
        """Whether it was no file, but an open model or an association in memory."""
        return self.path.startswith(_IN_MEMORY)

    def as_json(self) -> dict[str, Any]:
        """Give what is recorded of it."""
        row = {**asdict(self), "path": as_urls(self.path)}
        return row if self.mark else {name: row[name] for name in row if name != "mark"}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> FileContent:
        """Read what was recorded of it; what else there is belongs to a later version."""
        known = {item.name: row[item.name] for item in fields(cls) if item.name in row}
        if takes_urls() and is_url(known["path"]):
            known["path"] = str(local_path(known["path"]))
        return cls(**known)


def content_of_model(model: Any, name: str) -> FileContent:
    """Describe the content of an open data model as that of a file.

    It has to have ``to_flat_dict``, as models of stdatamodels and roman_datamodels do.
    """
    import numpy as np

    if not hasattr(model, "to_flat_dict"):
        raise NoFingerprintError(f"an open {type(model).__name__}")
    digest, size = hashlib.sha256(type(model).__qualname__.encode()), 0
    for key, value in model.to_flat_dict().items():
        if is_volatile(key):
            continue
        if hasattr(value, "__array__"):
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise NoFingerprintError(f"{key} of {name}")
            size += array.nbytes
            digest.update(f"\n{key} {array.dtype} {array.shape}\n".encode())
            for part in array if array.ndim > 1 and not array.flags.c_contiguous else [array]:
                digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        else:
            digest.update(f"\n{key} {_text_of(value)}".encode())
    return FileContent(f"{_IN_MEMORY}{name}", size, 0, 0, digest.hexdigest())


def content_of_association(association: Mapping[str, Any], name: str) -> FileContent:
    """Describe an association that is in memory as if it were a file."""
    return FileContent(f"{_IN_MEMORY}{name}", 0, 0, 0, fingerprint(association))


def _text_of(value: Any) -> str:
    """Write what a model holds beside arrays: plain values, and what ASDF can store."""
    try:
        return json.dumps(value)
    except TypeError:
        import asdf

        content = io.BytesIO()
        try:
            asdf.AsdfFile({"value": value}).write_to(content)
        except Exception as error:
            raise NoFingerprintError(f"a {type(value).__name__}") from error
        return hashlib.sha256(content.getvalue()).hexdigest()


def sha256_of(path: Path) -> str:
    """Read a file and compute its sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=10_000)
def _content(path: Path, size: int, mtime_ns: int, ctime_ns: int) -> str:
    return sha256_of(path)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
