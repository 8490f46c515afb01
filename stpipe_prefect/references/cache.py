"""The CRDS cache: each file in it once, checked, whole or not at all.

A process that finds a file unchecked or absent fetches it under a lock, which the operating system
holds and which vanishes with its holder. All others wait, and then find the file.

What was checked is remembered, so that no file is read twice to check it, in a small file of its
own in the folder ``.verified`` of the cache, or, where that is read-only, in the user's cache
folder. It holds as long as the file is untouched. Who can write such a record decides that a file
is right: a folder that others may write to, or a link in its place, is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPException
from os import fsync
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO
from urllib.error import HTTPError

from filelock import Timeout

from ..exceptions import CrdsServerError, NoReferenceFileError, ReferenceFileError, reason
from ..locks import file_lock, why_not_locked
from .crds_client import (
    LIMIT_VARIABLE,
    Catalogue,
    Deadline,
    Entry,
    chunks,
    configured_server,
    is_transient,
    why,
)
from .reference import ReferenceFile
from .selection import refuse_bad

OnProgress = Callable[[str, int, int], None]
"""Called with a file's name, and how many of how many bytes have arrived."""

_BEGINNINGS = {".fits": b"SIMPLE  =", ".asdf": b"#ASDF"}
_FITS_BLOCK = 2880
_RECORD = {"path", "size", "mtime_ns", "ctime_ns", "sha1"}


def prefetch(wanted: ReferenceFile, on_progress: OnProgress | None = None) -> ReferenceFile:
    """Make sure that a file is in the cache and what it has to be; give it with sha1 and size."""
    refuse_bad({wanted.reference_type: wanted.name}, wanted.observatory, wanted.exposure)
    refuse_absent([wanted])
    path = wanted.path
    absent = not path.exists()
    sha1 = recall(path)
    if not sha1:
        deadline = Deadline()
        with _alone(wanted, path, deadline):
            sha1 = (
                recall(path)
                or _checked(wanted, path, deadline)
                or _fetched(wanted, path, deadline, on_progress)
            )
    origin = "fetched" if absent else "cached"
    return replace(wanted, sha1=sha1, size=path.stat().st_size, origin=origin)


def refuse_absent(wanted: Iterable[ReferenceFile]) -> None:
    """Refuse files that are neither in the cache nor can be fetched; the error names all."""
    absent = {
        file.path: file
        for file in wanted
        if file.applies and not file.path.exists() and configured_server(file.observatory) is None
    }
    if not absent:
        return
    *others, last = map(str, absent.values())
    raise NoReferenceFileError(
        f"{', '.join(others)} and {last} are not in the CRDS cache; "
        "set CRDS_SERVER_URL to fetch them"
        if others
        else f"{last} is not in the CRDS cache: {next(iter(absent))}; "
        "set CRDS_SERVER_URL to fetch it"
    )


def prefetch_all(
    wanted: Iterable[ReferenceFile], jobs: int, on_progress: OnProgress | None = None
) -> Iterator[ReferenceFile | ReferenceFileError]:
    """Make sure of many files, `jobs` at a time; give each, or what is wrong with it, in order.

    If the server is unreachable, or its response is invalid, the rest is given up: that error is
    the last.
    """
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="prefetch")
    try:
        for future in [executor.submit(prefetch, each, on_progress) for each in wanted]:
            try:
                yield future.result()
            except CrdsServerError as error:
                yield error
                return
            except ReferenceFileError as error:
                yield error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def damage(path: Path, entry: Entry | None, sha1: str) -> str:
    """Say what is wrong with a file of that checksum; nothing if nothing is.

    Without a catalogue's entry a file is expected to look like one of its kind and, from then
    on, to stay as it was.
    """
    size = path.stat().st_size
    if entry is not None:
        if size != entry.size:
            return f"{size} bytes instead of {entry.size}"
        wrong = entry.sha1 not in ("", sha1)
        return f"sha1 {sha1} instead of {entry.sha1}" if wrong else ""
    beginning = _BEGINNINGS.get(path.suffix, b"")
    with path.open("rb") as file:
        begins_well = file.read(len(beginning)) == beginning
    if not begins_well or not size or (path.suffix == ".fits" and size % _FITS_BLOCK):
        return f"no complete {path.suffix} file"
    if earlier_sha1(path) not in ("", sha1):
        return "changed since it was last verified"
    return ""


def _checked(wanted: ReferenceFile, path: Path, deadline: Deadline) -> str:
    """Verify a file that is there, and give its sha1; a damaged one is set aside to be fetched."""
    server = configured_server(wanted.observatory)
    if not path.exists():
        return ""
    try:
        sha1 = sha1_of(path)
    except OSError as error:
        raise ReferenceFileError(f"{wanted} cannot be read: {path}: {reason(error)}") from error
    catalogue = Catalogue(wanted.observatory)
    problem = damage(path, catalogue.entry_to_verify(wanted.name, server, deadline), sha1)
    if not problem:
        return remember(path, sha1)
    if server is None:
        raise ReferenceFileError(
            f"{wanted} is damaged: {path} is {problem}; remove it and fetch it again"
        )
    _set_aside(path, path)
    return ""


def _fetched(
    wanted: ReferenceFile, path: Path, deadline: Deadline, on_progress: OnProgress | None
) -> str:
    server = configured_server(wanted.observatory)
    if server is None:
        raise NoReferenceFileError(f"{wanted} is not in the CRDS cache: {path}")
    try:
        catalogue = Catalogue(wanted.observatory)
        entry, url = catalogue.entry_for_download(wanted.name, server, deadline)
    except ReferenceFileError as error:
        raise type(error)(f"{wanted} is not in the CRDS cache; {error}") from error
    for left in _partials(path):  # of a process that was killed, perhaps somebody else's
        with suppress(OSError):
            left.unlink()
    # Others may write to the cache: a name that cannot be guessed, and no link is followed.
    partial = path.parent / f".{path.name}.{secrets.token_hex(8)}.part"
    damaged = False
    failure: Exception | None = None
    problem = ""
    try:
        for _ in deadline.attempts():
            try:
                sha1 = _download(url, partial, entry.size, deadline, wanted.name, on_progress)
            except (OSError, HTTPException) as error:
                if isinstance(error, HTTPError):
                    error.close()
                if not is_transient(error):
                    raise ReferenceFileError(f"{wanted}: {url}: {why(error)}") from error
                failure, problem = error, why(error)
            else:
                problem = damage(partial, entry, sha1)
                if not problem:
                    partial.replace(path)
                    return remember(path, sha1)
                _set_aside(partial, path)
                if damaged:
                    raise ReferenceFileError(
                        f"{wanted} was damaged in two downloads: {problem}; the last is kept as "
                        f"{path.parent}/.{path.name}.bad; report this to the operator of {server}"
                    )
                damaged, failure = True, ReferenceFileError(problem)
        raise server.failed(f"{wanted} cannot be fetched: {problem}", deadline) from failure
    finally:
        partial.unlink(missing_ok=True)


def _download(
    url: str,
    partial: Path,
    size: int,
    deadline: Deadline,
    name: str,
    on_progress: OnProgress | None,
) -> str:
    """Write what comes into a temporary file; return its checksum."""
    checksum = hashlib.sha1()
    received = 0
    with _writable(partial) as file:
        for data in chunks(url, deadline):
            try:
                file.write(data)
                file.flush()  # those who wait watch it grow
            except OSError as error:
                raise ReferenceFileError(
                    f"{partial} cannot be written: {reason(error)}; make room in the CRDS cache"
                ) from error
            checksum.update(data)
            received += len(data)
            if on_progress is not None:
                on_progress(name, received, size)
        fsync(file.fileno())
    return checksum.hexdigest()


def _writable(partial: Path) -> BinaryIO:
    try:
        partial.unlink(missing_ok=True)
        return partial.open("xb")
    except OSError as error:
        raise ReferenceFileError(f"{partial} cannot be written: {reason(error)}") from error


@contextmanager
def _alone(wanted: ReferenceFile, path: Path, deadline: Deadline) -> Iterator[None]:
    """Be the only one to work on a file, anywhere; wait while somebody else gets on with it."""
    seen = 0
    lock_path = path.parent / f".{path.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = file_lock(lock_path)
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=min(0.5, deadline.left), poll_interval=0.05)
                break
            if path.exists():  # it is being verified, which takes its time but ends
                deadline.renew()
            if not deadline.left:
                raise CrdsServerError(
                    f"{wanted}: another process is fetching it, without progress for "
                    f"{deadline.limit:g} s ({LIMIT_VARIABLE})"
                )
            with suppress(OSError):
                grown = sum(partial.lstat().st_size for partial in _partials(path))
                deadline.extend(max(0, grown - seen))
                seen = grown
    except OSError as error:
        if path.exists():  # a read-only cache: nobody can be writing there
            yield
            return
        raise ReferenceFileError(
            f"{wanted} cannot be fetched: {why_not_locked(lock_path, error)}, or set CRDS_PATH to "
            "another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _partials(path: Path) -> Iterator[Path]:
    """Find partial downloads: of the process that holds the lock, or of one that was killed."""
    return path.parent.glob(f".{path.name}.*part")


def _set_aside(bad: Path, path: Path) -> None:
    """Keep a damaged file under another name, for inspection."""
    try:
        bad.replace(path.parent / f".{path.name}.bad")
    except OSError as error:
        raise ReferenceFileError(
            f"{bad} is damaged and cannot be replaced: {reason(error)}"
        ) from error


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
            if isinstance(record, dict) and record.keys() == _RECORD:
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
