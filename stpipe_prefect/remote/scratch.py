"""Scratch folders: one for each process that has objects of a store here, gone with it.

``STPIPE_SCRATCH`` says where they are, and ``STPIPE_SCRATCH_GB`` how much they may hold together.
A run that does not fit waits for others to end.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path

from filelock import Timeout

from ..exceptions import OutputError, UsageError
from ..locks import locked
from ..products.unfinished import PREFIX, remove_leftovers, unfinished_folder
from .urls import VARIABLE, scratch_root, stand_ins_in, takes_urls

LIMIT_VARIABLE = f"{VARIABLE}_GB"
_RESERVED = ".reserved"
_PAUSE = 0.5


@contextmanager
def scratch(name: str, what: str) -> Iterator[None]:
    """Keep stand-ins in a folder that lasts as long as the block, and is made if one is needed.

    No other process gets a folder of that name meanwhile; in messages, `what` is made in it.
    """
    with ExitStack() as held:

        @cache
        def folder() -> Path:
            root = scratch_root()
            try:
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"Scratch folder {root} cannot be made: {error.strerror}; set {VARIABLE}"
                ) from error
            return held.enter_context(
                unfinished_folder(root, name.replace("/", "_"), what, f"set {VARIABLE}")
            )

        with stand_ins_in(folder):
            yield


def planning() -> AbstractContextManager[None]:
    """Keep stand-ins while a campaign is planned and run; there are none if a plan goes on."""
    return nullcontext() if takes_urls() else scratch(f"plan {os.getpid()}", "a plan")


def reserve(inside: Path, needed: int) -> None:
    """Wait until so many bytes fit into the scratch folders, and keep them for that of a path.

    Raises
    ------
    OutputError
        They would not fit if no other run was there.
    """
    root = scratch_root()
    own = root / inside.relative_to(root).parts[0]
    while True:
        remove_leftovers(root)
        with suppress(Timeout), locked(root / ".reserving", 60):
            others = [_reserved(each) for each in root.glob(f"{PREFIX}*") if each != own]
            free, of_others = shutil.disk_usage(root).free, sum(others)
            limit = _limit()
            if of_others + needed <= limit and needed <= free:
                (own / _RESERVED).write_text(str(needed))
                return
            if not of_others:
                raise OutputError(
                    f"Scratch folder {root}: {needed / 1e9:.3g} GB are needed, "
                    + (
                        f"{LIMIT_VARIABLE} allows {limit / 1e9:.3g}: raise it"
                        if needed > limit
                        else f"{free / 1e9:.3g} GB are free: make room, or set {VARIABLE}"
                    )
                )
        time.sleep(_PAUSE)


def _reserved(folder: Path) -> int:
    try:
        return int((folder / _RESERVED).read_text())
    except (OSError, ValueError):  # it is a lock, or has nothing in it yet
        return 0


def _limit() -> float:
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        size = float(text or "inf")
    except ValueError:
        size = 0.0
    if not size > 0:
        raise UsageError(f"{LIMIT_VARIABLE}={text}: expected a number of GB, such as 200")
    return size * 1e9
