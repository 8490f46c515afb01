"""What becomes of an association of which members failed or are degraded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from stpipe_prefect.association import (
    BY_NAME,
    DROPPED,
    Association,
    is_association,
    read_association,
)
from stpipe_prefect.execution.events import PipelineProgress
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome

from .associations import write_association

if TYPE_CHECKING:
    from .campaign import Campaign
    from .job import Job

Missing = Literal["fail", "drop", "wait"]

CHOICES: tuple[Missing, ...] = ("fail", "drop", "wait")


class Lacking:
    """Decides on the jobs of a campaign whose needs have ended, perhaps badly."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._jobs = {job.input.name: job for job in campaign.jobs}
        self._causes: dict[str, str] = {}

    def decide(self, name: str) -> Result | None:
        """Give the result of a job that is not to begin, and None for one that is.

        To drop members, its association is written without them; it says which, and why.
        """
        job = self._jobs[name]
        if not (lost := self._lost(job)):
            return None
        cause = next(iter(lost.values()))
        if self._campaign.missing == "wait":
            self._causes[name] = cause
            left = f"left for a later run: {_said(lost)}"
            pipelines = (PipelineProgress(job.pipelines[0], Outcome.SKIPPED, caveats=(left,)),)
            return Result(name, Ended(Outcome.SKIPPED), pipelines)
        problem = "not an association"
        if is_association(job.input):
            association = read_association(job.input)
            reduced = _without(association, lost)
            problem = _problem(association, reduced)
        if not problem:
            write_association(job.input, reduced)
            return None
        self._causes[name] = cause
        error = f"not started: {problem}: {_said(lost)}"
        return Result(name, Ended(Outcome.FAILED, error, Outcome.FAILED.exit_code))

    def _lost(self, job: Job) -> dict[str, str]:
        """Name the members of a job that are not to be used, and why."""
        reasons: dict[str, str] = {}
        for result in self._campaign.results:
            other = self._jobs.get(result.name)
            if other and other.input in job.needs and (why := self._why_not(result)):
                reasons |= dict.fromkeys((each for made in other.makes for each in made), why)
        taken = {product: name for reads in job.reads for product, name in reads.items()}
        return {name: reasons[product] for product, name in taken.items() if product in reasons}

    def _why_not(self, result: Result) -> str:
        degraded = "; ".join(f"degraded: {line}" for line in result.degraded)
        return self._causes.get(result.name) or result.failure or degraded


def _without(association: Association, lost: Mapping[str, str]) -> Association:
    products = [
        product | {"members": [each for each in product["members"] if each["expname"] not in lost]}
        for product in association.table["products"]
    ]
    dropped = [
        {
            "expname": member["expname"],
            "exptype": member.get("exptype"),
            "reason": lost[member["expname"]],
        }
        for member in association.each_member()
        if member["expname"] in lost
    ]
    return Association(association.table | {"products": products, DROPPED: dropped})


def _problem(whole: Association, reduced: Association) -> str:
    """Say what forbids to go on without members."""
    before, after = ([_kind(each) for each in one.each_member()] for one in (whole, reduced))
    if not after:
        return "no member is left"
    for kind in BY_NAME:
        if before.count(kind) != after.count(kind):
            return f"it cannot do without its {kind}"
    left = (kind for kind in ("science", "psf") if kind in before and kind not in after)
    return next((f"no {kind} member is left" for kind in left), "")


def _kind(member: Mapping[str, object]) -> str:
    return str(member.get("exptype")).lower()


def _said(lost: Mapping[str, str]) -> str:
    (name, why), *others = lost.items()
    return f"{name} ({why})" + (f" and {len(others)} more" if others else "")
