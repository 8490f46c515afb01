"""Starts warm processes: one for a run, or one that stays for commands to come."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
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
        An open file, locked by whoever listens there; -1 if this one does not.
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
    """Start one that serves this process, and stays for commands to come if there is none."""
    return _start_with_control(to_stay(preload, idle))


def to_stay(preload: Sequence[str], idle: float) -> Settings:
    """Describe a warm process that commands such as this one find."""
    # The first folder is that of this command alone: its modules are not for others.
    modules = sys.path[1:] if ROOT in sys.path[1:] else [ROOT, *sys.path[1:]]
    return Settings(preload, modules, idle, str(socket_path(make_folder=True)))


def _start_with_control(settings: Settings) -> Parent:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start(replace(settings, starter=theirs.fileno()))
    assert process is not None
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays as a zombie
    return Parent(ours, tuple(settings.preload))


def start(settings: Settings) -> subprocess.Popen[bytes] | None:
    """Start a warm process; None if it would only serve commands that another one serves."""
    with ExitStack() as opened:
        log = None
        settings = replace(settings, lock=lock_place(Path(settings.path)) if settings.path else -1)
        if settings.lock >= 0:
            opened.callback(os.close, settings.lock)
            log = os.open(f"{settings.path}.log", _FRESH | os.O_APPEND, 0o600)
            opened.callback(os.close, log)
        elif settings.starter >= 0:
            settings = replace(settings, path="")
        else:
            return None
        process = subprocess.Popen(
            [sys.executable, *_flags(), "-m", MODULE, json.dumps(asdict(settings))],
            cwd=ROOT,
            env=os.environ | WITHOUT_THREADS,
            pass_fds=[file for file in (settings.starter, settings.lock) if file >= 0],
            stdin=subprocess.DEVNULL,
            stdout=log,  # of one that ends with its starter, where that has its own
            stderr=log,
            start_new_session=True,
        )
        if settings.path:
            os.pwrite(settings.lock, f"{process.pid}\n".encode(), 0)
        return process


def lock_place(path: Path) -> int:
    """Lock what the one that listens at a socket has locked; -1 if there is one.

    The file, beside the socket, has its number.
    """
    lock = os.open(f"{path}.lock", _FRESH, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return -1
    os.truncate(lock, 0)
    return lock


def _flags() -> list[str]:
    """Give the options of this interpreter that are on its command line."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]
