"""A flow for each pipeline of jwst and romancal, by its alias, for deployments to name."""

from __future__ import annotations

from typing import Any

from stpipe_prefect.orchestration.flows import as_flow

from .calwebb.mission import JWST
from .romancal.mission import ROMAN


def __getattr__(name: str) -> Any:
    """Make the flow that is asked for; its package is not imported before."""
    if name not in (*JWST.pipelines, *ROMAN.pipelines):
        raise AttributeError(f"there is no pipeline {name!r}")
    return as_flow(name)
