"""Bringing files into the cache: each once, verified, whole or not at all.

Whoever finds a file neither verified nor present takes its lock, which the operating system
holds and which vanishes with its holder. Everybody else waits, and then finds the file.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from os import fsync
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError

from filelock import Timeout

from ..exceptions import CrdsServerError, NoReferenceFileError, ReferenceFileError, reason
from ..locks import file_lock, why_not_locked
from .best import NOT_APPLICABLE, refuse_bad
from .catalogue import Catalogue, Entry
from .patience import LIMIT_VARIABLE, Patience
from .server import chunks, configured_server, is_transient, pauses, wait, why
from .verified import Verified, earlier_sha1, recall, remember, sha1_of

OnProgress = Callable[[str, int, int], None]
"""Called with a file's name, and how many of how many bytes have arrived."""

_BEGINNINGS = {".fits": b"SIMPLE  =", ".asdf": b"#ASDF"}
_FITS_BLOCK = 2880
_FOLDERS = 20
"""How often crds may find that another process has just made a folder it was about to make."""
_locating = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """A file that is to be in the cache, and what for.

    Attributes
    ----------
    name : str
        Of the file.
    reference_type : str
        Such as ``"flat"``; of a mapping, ``"mapping"``.
    observatory, context : str
    exposure : str
        File name of the exposure it is for, if known.
    """

    name: str
    reference_type: str
    observatory: str
    context: str
    exposure: str = ""

    @property
    def path(self) -> Path:
        """Its place in the cache."""
        from crds.core import config

        with suppress(OSError):
            Path(config.get_crds_refpath(self.observatory)).mkdir(parents=True, exist_ok=True)
        # crds makes the folders of all instruments, and is not ready for company there
        for _ in range(_FOLDERS):
            with suppress(FileExistsError), _locating:
                return Path(config.locate_file(self.name, self.observatory))
        return Path(config.locate_file(self.name, self.observatory))

    def __str__(self) -> str:
        kind = self.reference_type if self.is_mapping else f"{self.reference_type} reference"
        exposure = f" for {self.exposure}" if self.exposure else ""
        return f"{kind} {self.name} ({self.context}){exposure}"

    @property
    def applies(self) -> bool:
        """Whether there is such a file, rather than the rule that none applies."""
        return self.name != NOT_APPLICABLE

    @property
    def is_mapping(self) -> bool:
        """Whether it is part of the context itself."""
        return self.reference_type == "mapping"


@dataclass(frozen=True)
class Cached:
    """A verified file in the cache.

    Attributes
    ----------
    wanted : Wanted
    path : pathlib.Path
    size : int
    sha1 : str
    fetched : bool
        Whether it was not there before.
    """

    wanted: Wanted
    path: Path
    size: int
    sha1: str
    fetched: bool


def prefetch(wanted: Wanted, on_progress: OnProgress | None = None) -> Cached:
    """Make sure that a file is in the cache and what it has to be.

    Parameters
    ----------
    wanted : Wanted
    on_progress : callable, optional
        Told how a download gets on.

    Returns
    -------
    Cached

    Raises
    ------
    ReferenceFileError
        It is not there and cannot be fetched, or it is damaged.
    CrdsServerError
        The server does not do its part.
    """
    refuse_bad({wanted.reference_type: wanted.name}, wanted.observatory, wanted.exposure)
    refuse_absent([wanted])
    path = wanted.path
    absent = not path.exists()
    record = recall(path)
    if record is None:
        patience = Patience()
        with _alone(wanted, path, patience):
            record = (
                recall(path)
                or _verified(wanted, path, patience)
                or _fetched(wanted, path, patience, on_progress)
            )
    return Cached(wanted, path, record.size, record.sha1, fetched=absent)


def refuse_absent(wanted: Iterable[Wanted]) -> None:
    """Refuse files that are neither in the cache nor can be fetched.

    Raises
    ------
    NoReferenceFileError
        Names all of them.
    """
    if configured_server() is not None:
        return
    absent = {file.path: file for file in wanted if file.applies and not file.path.exists()}
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
    wanted: Iterable[Wanted], jobs: int, on_progress: OnProgress | None = None
) -> Iterator[Cached | ReferenceFileError]:
    """Make sure of many files, some at a time.

    Parameters
    ----------
    wanted : iterable of Wanted
    jobs : int
        How many at a time.
    on_progress : callable, optional
        Told how downloads get on.

    Yields
    ------
    Cached or ReferenceFileError
        Each file, or what is wrong with it, in the order given. If the server does not do
        its part the rest is given up: that error is the last.
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
    """Say what is wrong with a file; nothing if nothing is.

    Without a catalogue a file is expected to look like one of its kind and, from then on, to
    stay as it was.

    Parameters
    ----------
    path : pathlib.Path
    entry : Entry or None
        What the catalogue says.
    sha1 : str
        Its checksum.
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
        return f"no whole {path.suffix} file"
    if earlier_sha1(path) not in ("", sha1):
        return "changed since it was last verified"
    return ""


def _verified(wanted: Wanted, path: Path, patience: Patience) -> Verified | None:
    """Verify a file that is there; one that is damaged is set aside if it can be fetched anew."""
    server = configured_server()
    if not path.exists():
        return None
    try:
        sha1 = sha1_of(path)
    except OSError as error:
        raise ReferenceFileError(f"{wanted} cannot be read: {path}: {reason(error)}") from error
    catalogue = Catalogue(wanted.observatory)
    problem = damage(path, catalogue.entry_to_verify(wanted.name, server, patience), sha1)
    if not problem:
        return remember(path, sha1)
    if server is None:
        raise ReferenceFileError(
            f"{wanted} is damaged: {path} is {problem}; remove it and fetch it anew"
        )
    _set_aside(path, path)
    return None


def _fetched(
    wanted: Wanted, path: Path, patience: Patience, on_progress: OnProgress | None
) -> Verified:
    server = configured_server()
    if server is None:
        raise NoReferenceFileError(f"{wanted} is not in the CRDS cache: {path}")
    try:
        catalogue = Catalogue(wanted.observatory)
        entry, url = catalogue.entry_for_download(wanted.name, server, patience)
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
        for pause in pauses():
            try:
                sha1 = _download(url, partial, entry.size, patience, wanted.name, on_progress)
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
                        f"{wanted} arrives damaged, twice: {problem}; the last is kept as "
                        f"{path.parent}/.{path.name}.bad; tell whoever runs {server}"
                    )
                damaged, failure = True, ReferenceFileError(problem)
            if not wait(pause, patience):
                break
        raise server.failed(f"{wanted} cannot be fetched: {problem}", patience) from failure
    finally:
        partial.unlink(missing_ok=True)


def _download(
    url: str,
    partial: Path,
    size: int,
    patience: Patience,
    name: str,
    on_progress: OnProgress | None,
) -> str:
    """Write what comes into a temporary file; return its checksum."""
    checksum = hashlib.sha1()
    received = 0
    with _writable(partial) as file:
        for data in chunks(url, patience):
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
def _alone(wanted: Wanted, path: Path, patience: Patience) -> Iterator[None]:
    """Be the only one to work on a file, anywhere; wait while somebody else gets on with it."""
    seen = 0
    lock_path = path.parent / f".{path.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = file_lock(lock_path)
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=min(0.5, patience.left), poll_interval=0.05)
                break
            if path.exists():  # it is being verified, which takes its time but ends
                patience.renew()
            if not patience.left:
                raise CrdsServerError(
                    f"{wanted}: another process fetches it, without progress for "
                    f"{patience.limit:g} s ({LIMIT_VARIABLE})"
                )
            with suppress(OSError):
                grown = sum(partial.lstat().st_size for partial in _partials(path))
                patience.restore(max(0, grown - seen))
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
    """Find what is written of a file: by whoever holds its lock, or left by who was killed."""
    return path.parent.glob(f".{path.name}.*part")


def _set_aside(bad: Path, path: Path) -> None:
    """Keep a damaged file, out of the way, for whoever wants to know."""
    try:
        bad.replace(path.parent / f".{path.name}.bad")
    except OSError as error:
        raise ReferenceFileError(
            f"{bad} is damaged and cannot be replaced: {reason(error)}"
        ) from error
