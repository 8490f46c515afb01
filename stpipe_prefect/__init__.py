"""Calibration pipelines of space observatories: the Step and Pipeline API, and Prefect flows.

Names are imported on first use: a command line that only lists steps waits for nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pipeline import Pipeline
    from .step import Step

__all__ = ["Pipeline", "Step"]

_HOME = {"Pipeline": "pipeline", "Step": "step"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
