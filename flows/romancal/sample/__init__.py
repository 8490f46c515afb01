"""The embedded sample of Roman: simulated exposures of known truth, and the CRDS cache they need.

Far smaller than a detector: the steps that insist on a whole one, or on what cannot be had
without a network, are skipped by parameter files of this cache, see `references`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exposures import make_program
    from .references import make_crds_cache
    from .store import Sample, ensure_sample

__all__ = ["Sample", "ensure_sample", "make_crds_cache", "make_program"]

_HOME = {
    "Sample": "store",
    "ensure_sample": "store",
    "make_crds_cache": "references",
    "make_program": "exposures",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
