"""Planning the pipelines of one job, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stpipe_prefect.exceptions import (
    ContextError,
    CrdsServerError,
    InputError,
    ReferenceFileError,
)
from stpipe_prefect.provenance.plans import NO_PRODUCT, Plan, QuickPlanner

if TYPE_CHECKING:
    from stpipe_prefect.orchestration.plan import Planner

    from .job import Job

AnyPlanner = TypeVar("AnyPlanner", "Planner", QuickPlanner)

UNREADABLE = "cannot be planned"


def planners_of(
    job: Job, made: dict[str, AnyPlanner], make: Callable[..., AnyPlanner]
) -> dict[str, AnyPlanner]:
    """Give the planners for the pipelines of a job; it shares them with those of equal layers."""
    found = {}
    for name in job.pipelines:
        key = f"{name} {job.beside(name)}"
        if key not in made:
            made[key] = make(name, *job.beside(name))
        found[name] = made[key]
    return found


def plan_of(planner: Planner | QuickPlanner, pipeline: str, data: Path, folder: Path) -> Plan:
    """Plan one pipeline; what is wrong with its input alone does not stop the plans of others."""
    try:
        return planner.plan(str(data), folder)
    except (ContextError, CrdsServerError):
        raise
    except (InputError, ReferenceFileError) as error:
        problem = str(error) if data.name in str(error) else f"{data}: {error}"
        return Plan(data.name, pipeline, (UNREADABLE,), refusal=problem)


def after(remade: Collection[str], reads: Iterable[Mapping[str, str]], plan: Plan) -> Plan:
    """Add what the pipelines before it do to the input."""
    if plan.reasons in ((NO_PRODUCT,), (UNREADABLE,)):
        return plan
    changed = [file for each in reads for product, file in each.items() if product in remade]
    if not changed:
        return plan
    others = f" and {len(changed) - 1} more" if changed[1:] else ""
    reason = f"input {changed[0]}{others} will be remade"
    return replace(plan, reasons=(*plan.reasons, reason))
