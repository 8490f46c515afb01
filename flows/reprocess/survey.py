"""What in an archive is stale, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calibrate.jobs import plan_jobs
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.provenance.plans import Plan

from .archive import folders_of


@dataclass(frozen=True)
class Item:
    """An exposure or association of an archive.

    Attributes
    ----------
    job : Job
        Its products are beside its input.
    error : str
        Why it cannot be processed at all; empty if it can.
    """

    job: Job
    error: str = ""

    @property
    def input(self) -> Path:
        """The exposure or association itself."""
        return self.job.input

    @property
    def plans(self) -> tuple[Plan, ...]:
        """What each of its pipelines has to do; none if it cannot be processed."""
        return () if self.error else self.job.plans or ()

    @property
    def stale(self) -> tuple[Plan, ...]:
        """Plans of those pipelines that have something to do."""
        return tuple(plan for plan in self.plans if not plan.is_up_to_date)

    def __str__(self) -> str:
        reasons = dict.fromkeys(reason for plan in self.stale for reason in plan.reasons)
        return f"{self.input}: {'; '.join(reasons)}"

    @property
    def folder(self) -> Path:
        """Where its products are."""
        return self.input.parent

    def made(self, plan: Plan) -> datetime:
        """Tell when a pipeline made its products; without any, when the input came.

        Whatever made them stale is newer than that.
        """
        file = plan.record if plan.record and plan.record.exists() else self.input
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        plans = [plan.as_json() for plan in self.plans]
        return {"input": str(self.input), "plans": plans} | (
            {"error": self.error} if self.error else {}
        )


def survey(archives: Iterable[Path], context: str) -> Iterator[Item]:
    """Plan everything in archives, in order of program; see `folders_of`."""
    jobs: list[Job] = []
    for inputs in folders_of(archives):
        try:
            wanted, refused = plan_jobs(inputs, JWST)
        except UsageError as error:  # the other folders are no worse for it
            wanted, refused = [], dict.fromkeys(inputs, error)
        jobs += wanted
        yield from (Item(Job(path, ()), str(error)) for path, error in refused.items())
    for job in Campaign(JWST, jobs, crds_context=context).planned():
        yield Item(job, next((plan.refusal for plan in job.plans or () if plan.refusal), ""))
