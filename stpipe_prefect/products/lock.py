"""One run at a time makes the same products: a lock that vanishes with the process holding it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ..exceptions import OutputError

LOCK = "lock"


@contextmanager
def locked_folder(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for the time of the block, against every other process and thread.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it does not exist. The holder may remove it.
    what : str
        What it is held for, for the message.

    Raises
    ------
    OutputError
        Another run holds it; the message says which.
    """
    descriptor = _acquire(folder)
    if descriptor is None:
        raise OutputError(f"{what} is being made by {_holder(folder)}; wait until that run is done")
    try:
        about = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_abandoned(folder: Path) -> bool:
    """Tell whether a folder that was held once is held by nobody now."""
    with suppress(OSError):
        descriptor = os.open(folder / LOCK, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        finally:
            os.close(descriptor)
    return False


def remove_abandoned(folder: Path) -> None:
    """Remove a folder that was held once, unless somebody holds it now."""
    if is_abandoned(folder) and (descriptor := _acquire(folder)) is not None:
        # Removed while held: who waits for it finds that it is gone, and makes another.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _acquire(folder: Path) -> int | None:
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the last holder has just removed the folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), (folder / LOCK).stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)  # locked what its last holder had removed meanwhile


def _holder(folder: Path) -> str:
    try:
        about = json.loads((folder / LOCK).read_text())
        return f"process {about['process']} on {about['host']} since {about['since']}"
    except (OSError, ValueError, KeyError):
        return "another run that has just begun"
