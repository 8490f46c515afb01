"""What a job of a batch system asks for: from earlier runs, within what a person allows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ..exceptions import UsageError, nearest
from ..outcomes import Outcome
from ..warm.keep import seconds as seconds_of
from .capacity import AT_REST_MB

SECONDS = 3600.0
"""What a job asks for that has no record, if nobody says how long one may take."""

MEMORY_MARGIN = 1.2
"""An exposure took so many times what it takes mostly."""

TIME_MARGIN = 2.0
"""Nodes differ more in their speed than runs in their memory."""

START_SECONDS = 300.0
"""A node that imports jwst the first time reads thousands of files of another machine."""

_UNITS = {"M": 2**20 / 1e6, "G": 2**30 / 1e6, "T": 2**40 / 1e6}

EXPECTED = "expected slurm://PARTITION?mem=16G&time=2h"


@dataclass(frozen=True)
class Size:
    """Memory in MB, and time in seconds."""

    memory_mb: float
    seconds: float


@dataclass(frozen=True)
class Slurm:
    """What an address says: the partition, and the most that a job may ask for."""

    partition: str
    most: Size = Size(math.inf, math.inf)

    def size(self, memory_mb: float, seconds: float | None) -> Size:
        """Give the size of a job of which this is expected; `seconds` is None if nothing is."""
        # The process that it is forked from has imported the same, and counts besides it.
        memory_mb = MEMORY_MARGIN * memory_mb + AT_REST_MB
        if seconds is None:
            seconds = self.most.seconds if self.most.seconds < math.inf else SECONDS
        else:
            seconds = TIME_MARGIN * seconds + START_SECONDS
        return self._within(Size(memory_mb, seconds))

    def larger(self, size: Size, outcome: Outcome) -> Size | None:
        """Give the size for another attempt; None if it would be no larger."""
        twice = {
            Outcome.OUT_OF_MEMORY: Size(2 * size.memory_mb, size.seconds),
            Outcome.TIMED_OUT: Size(size.memory_mb, 2 * size.seconds),
        }
        again = self._within(twice.get(outcome, size))
        return None if again == size else again

    def _within(self, size: Size) -> Size:
        return Size(min(size.memory_mb, self.most.memory_mb), min(size.seconds, self.most.seconds))


def read_address(address: str) -> Slurm:
    """Read ``"slurm://PARTITION?mem=16G&time=2h"``, of which the end may be left out.

    Raises
    ------
    UsageError
        It is none.
    """
    where = urlsplit(address)
    values = dict(parse_qsl(where.query, keep_blank_values=True))
    if where.scheme != "slurm" or not where.netloc or where.path.strip("/") or where.fragment:
        raise UsageError(f"--runner {address}: {EXPECTED}")
    for name in values:
        if name not in ("mem", "time"):
            known = nearest(name, ("mem", "time"))
            raise UsageError(f"--runner {address}: there is no {name!r}{known}: {EXPECTED}")
    try:
        most = Size(
            _memory_mb(values["mem"]) if "mem" in values else math.inf,
            seconds_of(values["time"]) if "time" in values else math.inf,
        )
    except UsageError as error:
        raise UsageError(f"--runner {address}: {error}") from error
    return Slurm(where.netloc, most)


def _memory_mb(text: str) -> float:
    found = re.fullmatch(r"(\d+)([MGT])B?", text.upper())
    if found is None or not int(found[1]):
        raise UsageError(f"{text!r} is no memory: expected a number and M, G or T, such as 16G")
    return int(found[1]) * _UNITS[found[2]]
