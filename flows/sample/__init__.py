"""The embedded sample: simulated exposures of known truth, and the CRDS cache they need.

`ensure_sample` gives the one that runs by default; `make_program`, `make_slit_exposure`
and `make_crds_cache` make others, the first and the last of any size. Everything is made by
code, without a network, and the same arguments always give the same bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .crds_cache import make_crds_cache
    from .exposures import Program, make_program
    from .recovery import Recovery, measure_flux_ratio, measure_recovery
    from .slit import make_slit_exposure
    from .store import Sample, ensure_sample
    from .truth import Truth

__all__ = [
    "Program",
    "Recovery",
    "Sample",
    "Truth",
    "ensure_sample",
    "make_crds_cache",
    "make_program",
    "make_slit_exposure",
    "measure_flux_ratio",
    "measure_recovery",
]

_HOME = {
    "Program": "exposures",
    "Recovery": "recovery",
    "Sample": "store",
    "Truth": "truth",
    "ensure_sample": "store",
    "make_crds_cache": "crds_cache",
    "make_program": "exposures",
    "make_slit_exposure": "slit",
    "measure_flux_ratio": "recovery",
    "measure_recovery": "recovery",
}


def __getattr__(name: str) -> Any:
    # numpy alone costs more than the rest of a command's start: imported on first use.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
