"""A flow for each pipeline of jwst, by its alias, for deployments to name."""

from __future__ import annotations

from typing import Any

from stpipe_prefect.orchestration.pipelines import as_flow

from .calwebb.exposure_types import PIPELINES


def __getattr__(name: str) -> Any:
    """Make the flow that is asked for; jwst is not imported before."""
    if name not in PIPELINES:
        raise AttributeError(f"there is no pipeline {name!r}")
    return as_flow(name)
