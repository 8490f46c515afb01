"""Garbage collection: leaves out what stays for good, where it would find nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imported_for_good() -> Iterator[None]:
    """Spare the garbage collector what is imported within the block, now and later.

    Of the time in which thousands of modules are imported it takes a tenth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.collect()
    gc.freeze()


@contextmanager
def little_to_collect() -> Iterator[None]:
    """Spare the garbage collector what is there already, until the block ends.

    stpipe has it look through all objects twice a step: with jwst imported 0.1 s each time.
    Where something was spared for good before, as in the processes of exposures, it stays so.
    """
    frozen_before = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not frozen_before:
            gc.unfreeze()
