"""Data quality flags, by name: how many pixels gained and lost each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Flag:
    """How many pixels have a flag in B and not in A, and the other way round."""

    gained: int
    lost: int


def holds_flags(name: str, array: Any) -> bool:
    """Tell whether an array holds flags, as ``DQ``, ``GROUPDQ`` and ``roman.dq`` do."""
    return name.partition(",")[0].lower().endswith("dq") and array.dtype.kind in "iu"


def flags_changed(a: Any, b: Any, telescope: str) -> dict[str, Flag]:
    """Count, for each flag in which two arrays differ, where it was gained and lost."""
    import numpy as np

    names = _names(telescope)
    # As what they are without a sign: bit 31 is a flag like others.
    a, b = (array.astype(f"u{array.dtype.itemsize}") for array in (a, b))
    changed = a ^ b
    bits = int(np.bitwise_or.reduce(changed, axis=None))
    found = {}
    for bit in range(bits.bit_length()):
        mask = changed.dtype.type(1 << bit)
        if bits & (1 << bit):
            gained = int(np.count_nonzero(changed & b & mask))
            lost = int(np.count_nonzero(changed & a & mask))
            found[names.get(1 << bit, f"bit {bit}")] = Flag(gained, lost)
    return found


@lru_cache
def _names(telescope: str) -> Mapping[int, str]:
    """Give the names of the flags of a telescope, by value; none where its models are missing."""
    if telescope == "JWST":
        from stdatamodels.jwst.datamodels import dqflags

        return {value: name for name, value in dqflags.pixel.items()}
    if telescope == "ROMAN":
        try:
            from roman_datamodels.dqflags import pixel
        except ImportError:
            return {}
        return {int(flag.value): flag.name for flag in pixel}
    return {}
