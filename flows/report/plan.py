"""The page of a plan: what would run, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stpipe_prefect.provenance.plans import Plan

from .page import environment, written


def write_plan(path: Path, command: str, plans: Sequence[Plan]) -> None:
    """Write the table of a plan as a page."""
    to_run = sum(not plan.is_up_to_date and not plan.refusal for plan in plans)
    text = (
        environment().get_template("plan.html").render(command=command, plans=plans, to_run=to_run)
    )
    written(path, text)
