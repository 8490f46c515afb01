"""Lock files that the operating system holds for a process, and frees however that process ends.

Links are not followed, a process forked meanwhile does not keep the lock, and a file system
without locks is an error: there the lock file alone would block all who come after a kill.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def file_lock(path: Path, on_acquired: Callable[[int], None] | None = None) -> BaseFileLock:
    """Make a lock that everybody who may write to its folder can take, once it is free."""
    return FileLock(
        path, mode=0o666, thread_local=False, fallback_to_soft=False, on_acquired=on_acquired
    )


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold a lock file for the time of the block, and remove it afterwards.

    Its holder is waited for `timeout` seconds; then filelock.Timeout is raised. An OSError says
    that the file cannot be opened or locked; see `why_not_locked`.
    """
    descriptions: list[os.stat_result] = []
    lock = file_lock(path, lambda descriptor: descriptions.append(os.fstat(descriptor)))
    while True:
        lock.acquire(timeout=timeout)
        # Some file systems rename a file that is removed while another process has it open.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), descriptions[-1]):
                break
        lock.release()
    try:
        yield
    finally:
        with suppress(OSError):  # in a sticky folder, where another user left it
            path.unlink()
        lock.release()


def why_not_locked(path: Path, error: OSError) -> str:
    """Say why a lock file cannot be used, and what to do about it."""
    if error.errno in _NO_LOCKS:
        return (
            f"{path.parent} is on a file system without file locks ({os.strerror(error.errno)}): "
            "mount it with them (Lustre: option flock; NFS: lock manager running, or "
            "local_lock=flock)"
        )
    if os.path.lexists(path):
        return f"lock file {path} cannot be used ({error.strerror or error}): remove it"
    return f"{path.parent} cannot be written to: {error.strerror or error}"
