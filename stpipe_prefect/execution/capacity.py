"""How many exposures fit on this machine at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from ..exceptions import InputError
from ..provenance.record import read_record

AT_REST_MB = 400.0
"""What a process takes that has the pipelines loaded and no data."""

GROWTH = 30.0
"""Memory for each byte of a raw exposure: Detector1 of a 210 MB ramp came to 6.1 GB."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_mb() -> float:
    """Say how much memory is free, in MB; in a container, of what it may use."""
    free = psutil.virtual_memory().available
    for limit, used in zip(_LIMITS, _USED, strict=True):
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
    return free / 1e6


def expected_memory_mb(files: Iterable[Path], record: Path) -> float:
    """Expect what an exposure took the last time, or else what one of its size takes, in MB."""
    with suppress(InputError, KeyError):  # records of earlier versions may lack it
        return float(read_record(record).run["peak_memory_mb"])
    size = sum(file.stat().st_size for file in files if file.exists())
    return AT_REST_MB + GROWTH * size / 1e6
