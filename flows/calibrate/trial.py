"""The jobs of a trial: what they share with others, and with which members they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.trials.folders import Trial
from stpipe_prefect.association import is_association, read_association

from .associations import placed_content, write_file
from .job import Job, Products

if TYPE_CHECKING:
    from stpipe_prefect.orchestration.plan import Planner
    from stpipe_prefect.provenance.plans import Plan


class Sharing:
    """Finds what the base or another trial has of what one job would make.

    Parameters
    ----------
    trial : Trial
    planners : mapping of str to Planner
        Those of the pipelines of the job.
    is_real : bool
        Whether the trial gets it at once; otherwise that is only planned.
    """

    def __init__(self, trial: Trial, planners: Mapping[str, Planner], *, is_real: bool) -> None:
        self._trial = trial
        self._planners = planners
        self._is_real = is_real

    def found(self, plan: Plan, pipeline: str, data: Path) -> Plan:
        """Plan to share the products of a run that another folder has."""
        if plan.is_up_to_date or plan.refusal:
            return plan
        others = self._trial.others()
        return self._planners[pipeline].shareable(data, self._trial.folder, others) or plan

    def taken(self, plan: Plan, pipeline: str, data: Path) -> Plan:
        """Share what such a plan found."""
        is_elsewhere = plan.record is not None and plan.record.parent != self._trial.folder
        if not (self._is_real and plan.is_up_to_date and is_elsewhere):
            return plan
        return self._planners[pipeline].share(plan, data, self._trial.folder)


def with_own_members(jobs: Iterable[Job], trial: Trial) -> list[Job]:
    """Copy associations that lie beside products of the base into the folder of a trial.

    Members are looked for beside their association first, where they would be the base's.
    """
    jobs = list(jobs)
    made = Products().union(*(each for job in jobs for each in job.makes))
    moved = {
        job.input: _copied(job, made, trial.folder)
        for job in jobs
        if job.needs and is_association(job.input) and _is_in(job.input, trial.base)
    }
    return [
        replace(
            job,
            input=moved.get(job.input, job.input),
            needs=frozenset(moved.get(path, path) for path in job.needs),
        )
        for job in jobs
    ]


def _copied(job: Job, made: Products, folder: Path) -> Path:
    taken = {product: file for reads in job.reads for product, file in reads.items()}
    own = {file for product, file in taken.items() if product in made}
    association = read_association(job.input)
    elsewhere = {
        name: str((job.input.parent / name).absolute())
        for name in association.members
        if name not in own and (job.input.parent / name).is_file()
    }
    place = folder / job.input.name
    content = placed_content(association, elsewhere) if elsewhere else job.input.read_bytes()
    if not (place.is_file() and place.read_bytes() == content):
        write_file(place, content)
    return place


def _is_in(path: Path, folder: Path) -> bool:
    return path.parent.resolve() == folder.resolve()
