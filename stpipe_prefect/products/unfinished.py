"""Folders that runs write into until they are done: each its own, one run of a name at a time.

::

    .unfinished-<name>-<random>/   what a run makes; only its user may look into it
    .unfinished-<name>.lock        held while a run of that name goes on

Other users may be able to write beside them. So no name of a folder can be guessed, no link is
followed, and of what killed runs left only what this user's runs made is removed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from ..exceptions import OutputError
from ..locks import locked, why_not_locked
from .names import shortened

PREFIX = ".unfinished-"
MARK = ".run.json"
"""In each folder: which run it is of. Nobody but its user can have put it there."""

_LOCK = ".lock"
_RANDOM = len("-12345678")
_LONGEST = 120
"""Bytes of a run's name that go into those of its folder and lock."""

_TIMEOUT = 1.0
"""Seconds: so long may somebody hold the lock who only removes what a killed run left."""


@contextmanager
def unfinished_folder(parent: Path, name: str, what: str, instead: str) -> Iterator[Path]:
    """Give a run a new folder for the time of the block; let no other run of that name in.

    What killed runs left in `parent` is removed. The block may move the folder away. For messages,
    `what` is made in it, and `instead` is what to do where there can be no lock.
    """
    name = shortened(name, _LONGEST)
    lock = _lock(parent, name)
    remove_leftovers(parent)
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, _TIMEOUT))
        except Timeout as error:
            raise OutputError(
                f"{what} is being made by {_holder(parent, name)}; wait until that run is done"
            ) from error
        except OSError as error:
            raise OutputError(f"{why_not_locked(lock, error)}, or {instead}") from error
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=parent))
        try:
            about = {
                "process": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            }
            (folder / MARK).write_text(json.dumps(about))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(parent: Path, name: str) -> bool:
    """Tell whether a run of that name was killed, and none is going on now."""
    name = shortened(name, _LONGEST)
    if name in {found for found, _ in _unfinished(parent)}:
        with suppress(Timeout, OSError), locked(_lock(parent, name), 0):
            return True
    return False


def going_on(parent: Path) -> list[str]:
    """List the runs that write into a folder now; of a long name, what there is of it."""
    names = []
    for name, path in _unfinished(parent):
        if path.suffix == _LOCK:
            try:
                with locked(path, 0):
                    pass
            except (Timeout, OSError):
                names.append(name)
    return names


def remove_leftovers(parent: Path) -> None:
    """Remove what killed runs of this user left, and locks that nobody holds."""
    for name, path in _unfinished(parent):
        if path.suffix == _LOCK or is_own_folder(path):
            with suppress(Timeout, OSError), locked(_lock(parent, name), 0):
                if is_own_folder(path):
                    _remove(path)


def is_own_folder(path: Path) -> bool:
    """Tell whether something is a folder, and neither another user's nor a link to one."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _remove(folder: Path) -> None:
    if not any(folder.iterdir()):  # killed before it was marked
        folder.rmdir()
    elif (folder / MARK).lstat().st_uid == os.geteuid():  # else renamed by somebody
        shutil.rmtree(folder, ignore_errors=True)


def _unfinished(parent: Path) -> list[tuple[str, Path]]:
    """List folders and locks of runs that are going on or were killed, with the runs' names."""
    found = []
    with suppress(OSError):  # there is no such folder, or none that may be read
        for path in parent.iterdir():
            if path.name.startswith(PREFIX):
                name = path.name.removeprefix(PREFIX)
                is_lock = path.suffix == _LOCK
                found.append((name.removesuffix(_LOCK) if is_lock else name[:-_RANDOM], path))
    return found


def _lock(parent: Path, name: str) -> Path:
    return parent / f"{PREFIX}{name}{_LOCK}"


def _holder(parent: Path, name: str) -> str:
    for found, path in _unfinished(parent):
        if found == name and path.suffix != _LOCK:
            with suppress(OSError, ValueError, KeyError):
                if not is_own_folder(path):
                    return f"a run of user {path.owner()}"
                about = json.loads((path / MARK).read_text())
                return f"process {about['process']} on {about['host']} since {about['since']}"
    return "another run"
