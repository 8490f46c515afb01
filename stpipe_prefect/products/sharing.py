"""Files that several folders have in common: their content lies on the disk once.

A file system that can clone gives each folder a file of its own, whose content it stores once.
Elsewhere the folders have hard links. Making or removing one changes a time of the file, its
ctime, in all folders. A note in each folder says that the file has links, and what is in it: so
that no plan takes it for changed, and nobody has to read it again::

    .shared/<file name>.json
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
from enum import StrEnum
from pathlib import Path

FOLDER = ".shared"
"""Where notes are kept, in the folder of the files."""

_FICLONE = 0x40049409
"""Have a file take its content from another one; of Linux."""
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS)
_CANNOT_LINK = (
    *(errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP),
    *(errno.EPERM, errno.EACCES, errno.EROFS),  # it is another user's
)


class Way(StrEnum):
    """How a file came to be in a second folder."""

    CLONE = "clone"
    LINK = "link"
    COPY = "copy"


def share(source: Path, place: Path, sha256: str) -> Way:
    """Have a file in another folder as well, by a way that takes as little disk as can be.

    Parameters
    ----------
    source, place : pathlib.Path
        Where it is; and where it is to be, which must not exist.
    sha256 : str
        Of its content.

    Returns
    -------
    Way
    """
    try:
        _clone(source, place)
        return Way.CLONE
    except OSError as error:
        if error.errno not in _CANNOT_CLONE:
            raise
    try:
        note(source, sha256)  # first: from the first link on, its ctime says nothing any more
        os.link(source.resolve(), place)
        return Way.LINK
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
    shutil.copy2(source, place)
    return Way.COPY


def note(file: Path, sha256: str) -> None:
    """Note of a file that has links, or is about to have some, what is in it."""
    stat = file.stat()
    about = {"sha256": sha256, **_identity(stat)}
    path = _note_of(file)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        temporary.write_text(json.dumps(about))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def noted(file: Path, stat: os.stat_result) -> str:
    """Give the sha256 of a file that has, or had, links; empty if it is none, or was changed."""
    try:
        about = json.loads(_note_of(file).read_text())
        return str(about.pop("sha256")) if about.items() >= _identity(stat).items() else ""
    except (OSError, ValueError, LookupError, AttributeError):
        return ""


def _identity(stat: os.stat_result) -> dict[str, int]:
    return {"inode": stat.st_ino, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _note_of(file: Path) -> Path:
    return file.parent / FOLDER / f"{file.name}.json"


def _clone(source: Path, place: Path) -> None:
    try:
        with source.open("rb") as read, place.open("xb") as written:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
        shutil.copystat(source, place)
    except OSError as error:
        if error.errno != errno.EEXIST:
            place.unlink(missing_ok=True)
        raise
