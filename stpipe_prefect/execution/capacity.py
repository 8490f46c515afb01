"""How many exposures fit on this machine at a time."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from ..exceptions import InputError
from ..provenance.record import read_record

AT_REST_MB = 400.0
"""What a process takes that has the pipelines loaded and no data."""

GROWTH = 30.0
"""Memory for each byte of a raw exposure: Detector1 of a 210 MB ramp came to 6.1 GB."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


_OF_JOB = "SLURM_MEM_PER_NODE"
"""What a job of SLURM may use, in MiB."""


def cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_mb() -> float:
    """Say how much memory is free, in MB; in a container or job, of what it may use."""
    free = psutil.virtual_memory().available
    for limit, used in zip(_LIMITS, _USED, strict=True):
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
    if _OF_JOB in os.environ:
        free = min(free, int(os.environ[_OF_JOB]) * 2**20)
    return free / 1e6


def earlier_runs(records: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Read of each pipeline what its last run took; nothing where there is no record of it."""
    runs: list[Mapping[str, Any]] = []
    for record in records:
        try:
            runs.append(read_record(record).run)
        except InputError:
            runs.append({})
    return runs


def expected_memory_mb(files: Iterable[Path], runs: Iterable[Mapping[str, Any]]) -> float:
    """Expect what an exposure took the last time, or else what one of its size takes, in MB."""
    known = [float(run["peak_memory_mb"]) for run in runs if "peak_memory_mb" in run]
    if known:
        return max(known)
    size = sum(file.stat().st_size for file in files if file.exists())
    return AT_REST_MB + GROWTH * size / 1e6


def expected_seconds(runs: Collection[Mapping[str, Any]]) -> float | None:
    """Expect the time that an exposure took the last time; None if that is not known."""
    known = [float(run["seconds"]) for run in runs if "seconds" in run]
    return sum(known) if known and len(known) == len(runs) else None
