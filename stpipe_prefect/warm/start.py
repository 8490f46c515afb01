"""Starts warm processes: one for a run, or one that stays for commands to come."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .forked import Parent
from .place import socket_path

MODULE = f"{__package__}.process"

_FRESH = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW

ROOT = str(Path(__file__).parents[2])
"""Where this package is, installed or not."""

SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""With a process for each core, threads of linear algebra would only get in each other's way."""

WITHOUT_THREADS = {**SINGLE_THREADED, "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""A process with threads may not fork: one could hold a lock that the child waits for."""


@dataclass(frozen=True)
class Settings:
    """What a warm process is started with.

    Attributes
    ----------
    preload : sequence of str
        Names of modules that it imports.
    modules : sequence of str
        Folders where it finds them, as `sys.path`.
    idle : float
        Seconds without a command after which it ends.
    path : str
        Socket that commands find; empty if it is for its starter alone.
    lock : int
        An open file which whoever listens there has locked, or -1.
    starter : int
        An open socket through which its starter asks, or -1.
    """

    preload: Sequence[str]
    modules: Sequence[str]
    idle: float = 0.0
    path: str = ""
    lock: int = -1
    starter: int = -1


def start_for_this_process(preload: Sequence[str]) -> Parent:
    """Start one that ends with this process."""
    return _start_with_control(Settings(preload, sys.path))


def start_to_stay(preload: Sequence[str], idle: float) -> Parent:
    """Start one that commands find, too, and that stays until it has been idle for long."""
    # The first folder is that of this command alone: its modules are not for others.
    modules = sys.path[1:] if ROOT in sys.path[1:] else [ROOT, *sys.path[1:]]
    return _start_with_control(Settings(preload, modules, idle, str(socket_path(make_folder=True))))


def _start_with_control(settings: Settings) -> Parent:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start(replace(settings, starter=theirs.fileno()))
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays as a zombie
    return Parent(ours, tuple(settings.preload))


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a warm process."""
    files = [settings.starter] if settings.starter >= 0 else []
    if settings.path:
        settings = replace(settings, lock=lock_of(Path(settings.path)))
        files.append(settings.lock)
    log = None  # one that ends with its starter says what it has to say where that does
    if settings.path:
        log = os.open(f"{settings.path}.log", _FRESH | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, *_flags(), "-m", MODULE, json.dumps(asdict(settings))],
            cwd=ROOT,
            env=os.environ | WITHOUT_THREADS,
            pass_fds=files,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        if settings.path:
            os.close(settings.lock)
        if log is not None:
            os.close(log)


def lock_of(path: Path) -> int:
    """Open the file that whoever listens at a socket has locked."""
    return os.open(f"{path}.lock", _FRESH, 0o600)


def _flags() -> list[str]:
    """Give the options of this interpreter that are on its command line."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]
