"""What in an archive is stale, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from flows.calibrate.jobs import Job, needs_of, pipelines_of, plan_jobs
from flows.calibrate.parameters import parameters_of
from flows.calibrate.planning import plans
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.plan import Plan
from stpipe_prefect.provenance.record import log_path, record_path, run_name

from .archive import folders_of


@dataclass(frozen=True)
class Item:
    """An exposure or association of an archive.

    Attributes
    ----------
    input : pathlib.Path
        Its products are beside it.
    plans : tuple of Plan
        One for each pipeline it goes through.
    error : str
        Why it cannot be processed at all; empty if it can.
    needs : frozenset of str
        Names of the inputs in the same folder whose products it takes.
    """

    input: Path
    plans: tuple[Plan, ...] = ()
    error: str = ""
    needs: frozenset[str] = frozenset()

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

    def record(self, plan: Plan) -> Path:
        """Say where the provenance record of one of its pipelines is, if there is one."""
        return record_path(self.folder, run_name(plan.input, plan.pipeline))

    def log(self, plan: Plan) -> Path:
        """Say where what its steps logged is, if anything."""
        return log_path(self.folder, run_name(plan.input, plan.pipeline))

    def made(self, plan: Plan) -> datetime:
        """Tell when a pipeline made its products; without any, when the input came.

        Whatever made them stale is newer than that.
        """
        record = self.record(plan)
        file = record if record.exists() else self.input
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        plans = [plan.as_json() for plan in self.plans]
        return {"input": str(self.input), "plans": plans} | (
            {"error": self.error} if self.error else {}
        )


def survey(archives: Iterable[Path], context: str) -> Iterator[Item]:
    """Plan everything in archives, in order of program.

    Parameters
    ----------
    archives : iterable of pathlib.Path
        See `flows.reprocess.archive.folders_of`.
    context : str
        CRDS context.
    """
    jobs: list[Job] = []
    needs: dict[Path, frozenset[str]] = {}
    for inputs in folders_of(archives):
        try:
            wanted, refused = plan_jobs(inputs, JWST)
        except UsageError as error:  # the other folders are no worse for it
            wanted, refused = [], dict.fromkeys(inputs, error)
        needed = needs_of(wanted)
        needs |= {job.input: needed[job.input.name] for job in wanted}
        jobs += wanted
        yield from (Item(path, error=str(error)) for path, error in refused.items())
    planned = plans(jobs, None, parameters_of(pipelines_of(jobs), {}, None), crds_context=context)
    for job in jobs:
        mine = tuple(islice(planned, len(job.pipelines)))
        refusal = next((plan.refusal for plan in mine if plan.refusal), "")
        need = needs[job.input]
        yield Item(job.input, error=refusal) if refusal else Item(job.input, mine, needs=need)
