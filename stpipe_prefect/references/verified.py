"""What has been verified before: remembered, so that no file is read twice to check it.

A record is a small file of its own, in the folder ``.verified`` of the CRDS cache, or, where
that is read-only, in the user's cache folder. It holds as long as the file is untouched. Who
can write such a record decides that a file is right: a folder that others may write to, or a link
in its place, is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

_FIELDS = {"path", "size", "mtime_ns", "ctime_ns", "sha1"}


def remember(path: Path, sha1: str) -> str:
    """Record that a file, as it is now, has this checksum; forgotten if it can be nowhere kept."""
    record = _describe(path, sha1)
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(0o755, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=folder, delete=False, prefix=".") as file:
                json.dump(record, file)
                os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(folder / f"{path.name}.json")
            break
    return sha1


def recall(path: Path) -> str:
    """Find the recorded checksum of a file; empty if there is none, or it was touched since."""
    for record in _records(path):
        with suppress(OSError):
            if record == _describe(path, record["sha1"]):
                return str(record["sha1"])
    return ""


def earlier_sha1(path: Path) -> str:
    """Say which checksum a file had when it was last verified; empty if it never was."""
    return next((str(record["sha1"]) for record in _records(path)), "")


def sha1_of(path: Path) -> str:
    """Read a file and compute its checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def _describe(path: Path, sha1: str) -> dict[str, Any]:
    status = path.stat()
    return {
        "path": str(path),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,  # when it was changed
        "ctime_ns": status.st_ctime_ns,  # when anything about it was
        "sha1": sha1,
    }


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for folder in _folders():
        with suppress(OSError, ValueError):
            record = json.loads((folder / f"{path.name}.json").read_text())
            if isinstance(record, dict) and record.keys() == _FIELDS:
                yield record


def _folders() -> list[Path]:
    from crds.core import config
    from platformdirs import user_cache_path

    cache = Path(config.get_crds_path()).absolute()
    mark = hashlib.sha1(str(cache).encode()).hexdigest()[:12]
    own = user_cache_path("stpipe_prefect") / "verified" / mark
    shared = cache / ".verified"
    return [shared, own] if _is_trusted(shared, cache) else [own]


def _is_trusted(folder: Path, cache: Path) -> bool:
    """Tell whether nobody can write to a folder but this user, root or the owner of the cache."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return True  # it will be made
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        and status.st_uid in (os.geteuid(), 0, cache.stat().st_uid)
    )
