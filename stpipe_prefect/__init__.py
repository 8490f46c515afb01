"""Calibration pipelines of space observatories: the Step and Pipeline API, and Prefect flows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .user import check_user

if TYPE_CHECKING:
    from .insertions.insertion import after, before
    from .orchestration.flows import PipelineFlow, as_flow
    from .orchestration.handles import Handle
    from .orchestration.tasks import StepTask, as_prefetch, as_task
    from .pipeline import Pipeline
    from .step import Step

__all__ = [
    "Handle",
    "Pipeline",
    "PipelineFlow",
    "Step",
    "StepTask",
    "after",
    "as_flow",
    "as_prefetch",
    "as_task",
    "before",
]

_HOME = {
    "Handle": "orchestration.handles",
    "Pipeline": "pipeline",
    "PipelineFlow": "orchestration.flows",
    "Step": "step",
    "StepTask": "orchestration.tasks",
    "after": "insertions.insertion",
    "as_flow": "orchestration.flows",
    "as_prefetch": "orchestration.tasks",
    "as_task": "orchestration.tasks",
    "before": "insertions.insertion",
}


def __getattr__(name: str) -> Any:
    # Prefect takes a second to import: only who asks for the adapter waits for it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOME[name].startswith("orchestration"):
        check_user()
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
