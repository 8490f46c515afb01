"""What in an archive is stale, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calibrate.jobs import plan_jobs
from flows.calibrate.mission import Mission
from stpipe_prefect.exceptions import StpipePrefectError, UsageError
from stpipe_prefect.provenance.plans import Plan
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.remote.urls import as_urls

from .archive import folders_of
from .contexts import check_context, context_to_follow
from .recorded import Recorded


@dataclass(frozen=True)
class Item:
    """An exposure or association of an archive.

    Attributes
    ----------
    job : Job
        Its products are beside its input.
    mission : Mission
    context : str
        CRDS context that it was planned under; empty if none could be found.
    error : str
        Why it cannot be processed at all; empty if it can.
    """

    job: Job
    mission: Mission
    context: str
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
        return as_urls(f"{self.input}: {'; '.join(reasons)}")

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
        error = {"error": as_urls(self.error)} if self.error else {}
        return {"input": as_urls(str(self.input)), "plans": plans, **error}


def survey(archives: Iterable[str | Path], crds_context: str | None = None) -> list[Item]:
    """Plan everything in archives, in order of mission and program; see `folders_of`.

    Each mission has a CRDS context of its own; see `context_to_follow`. Where that of one cannot
    be used, its exposures have the error, and those of others are planned.

    Raises
    ------
    UsageError
        The package of a mission that is in the archives is not installed, or the context is of
        none of them.
    StpipePrefectError
        The context of none of the missions can be used.
    """
    folders: dict[str, list[list[Path]]] = defaultdict(list)
    missions: dict[str, Mission] = {}
    for mission, inputs in folders_of(archives):
        missions[mission.observatory] = mission
        folders[mission.observatory].append(inputs)
    check_context(crds_context, missions)
    for mission in missions.values():
        mission.check_installed()
    items: list[Item] = []
    errors: list[StpipePrefectError] = []
    for observatory, mission in missions.items():
        try:
            with pinned_context(
                observatory, context_to_follow(observatory, crds_context)
            ) as context:
                items += _planned(folders[observatory], mission, context)
        except StpipePrefectError as error:
            errors.append(error)
            inputs = [path for each in folders[observatory] for path in each]
            items += [Item(Job(path, ()), mission, "", str(error)) for path in inputs]
    if errors and len(errors) == len(missions):
        raise errors[0]
    return items


def _planned(folders: Iterable[list[Path]], mission: Mission, context: str) -> Iterator[Item]:
    jobs: list[Job] = []
    recorded = Recorded(mission)
    for inputs in folders:
        try:
            wanted, refused = plan_jobs(inputs, mission, adapt=recorded.adapted)
        except UsageError as error:  # the other folders are no worse for it
            wanted, refused = [], dict.fromkeys(inputs, error)
        jobs += wanted
        for path, problem in (recorded.refused | refused).items():
            yield Item(Job(path, ()), mission, context, str(problem))
        recorded.refused.clear()
    for job in Campaign(mission, jobs, crds_context=context).planned():
        refusal = next((plan.refusal for plan in job.plans or () if plan.refusal), "")
        yield Item(job, mission, context, refusal)
