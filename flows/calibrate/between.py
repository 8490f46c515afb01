"""Classes of one's own among the pipelines of jobs: in the place of one, or between two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from stpipe_prefect.association import is_association
from stpipe_prefect.exceptions import ParameterError, UnknownStepError, UsageError
from stpipe_prefect.insertions.derived import base_of
from stpipe_prefect.parameters.resolution import Layer, Source
from stpipe_prefect.parameters.validation import check_parameters
from stpipe_prefect.registry import find_step

from .job import Job
from .rules import Exposures, selected, source_of
from .selectors import Selector

if TYPE_CHECKING:
    from .campaign_file import CampaignFile, Insert
    from .mission import Mission


@dataclass(frozen=True)
class Between:
    """A step between two pipelines: who says so, its class, and its products' suffix."""

    where: str
    insert: Insert
    suffix: str

    def layer(self, source: str) -> Layer:
        """Give its parameters."""
        said = {**self.insert.parameters, "suffix": self.suffix}
        return Layer(Source(source), said, over_files=True)


class OwnClasses:
    """The classes that a campaign file puts among the pipelines of its jobs.

    The mission knows the products of steps between two pipelines from then on.

    Raises
    ------
    UsageError
        There is no such class.
    """

    def __init__(self, file: CampaignFile, mission: Mission, folder: Path) -> None:
        self._file, self._mission, self._folder = file, mission, folder
        for alias, path in file.replace.items():
            _check_class(path, f"{file}: replace.{alias}")
        self._steps = [
            step_between(insert, f"{file}: insert[{number}]", mission)
            for number, insert in file.stages.items()
        ]

    def adapted(self, jobs: Sequence[Job]) -> list[Job]:
        """Have jobs go through them.

        What a step between two pipelines makes is what the second one reads.

        Raises
        ------
        UsageError
            A step is for no job, or one that it is for combines exposures.
        """
        file = self._file
        exposures = Exposures(jobs, self._mission, self._folder, file.keywords)
        placed = {job.input: job for job in jobs}
        for step in self._steps:
            selector = Selector(step.insert.when)
            found = selected(jobs, [step.insert.anchor], selector, f"{step.where}.when", exposures)
            concerned = [job.input for job in found]
            if not concerned:
                raise UsageError(f"{step.where}: no input goes through {step.insert.anchor}")
            for each in concerned:
                placed[each] = with_step(placed[each], step, source_of(step.insert, file))
        _check_members(placed.values(), file)
        return [with_classes(job, file.replace) for job in placed.values()]


def members_made(jobs: Iterable[Job], file: CampaignFile) -> dict[str, str]:
    """Say for each file that a step between pipelines reads what it makes of it."""
    paths = {insert.step for insert in file.stages.values()}
    found: dict[str, str] = {}
    for job in jobs:
        for number, name in enumerate(job.pipelines):
            if name in paths:
                (read,) = job.reads[number].values()
                (made,) = job.makes[number]
                found[read] = f"{made}{Path(read).suffix}"
    # Of several at one place, the last one's product is it.
    return {read: _last(made, found) for read, made in found.items()}


def _check_members(jobs: Iterable[Job], file: CampaignFile) -> None:
    """Refuse associations of what a step between pipelines takes instead of what it makes."""
    made = members_made(jobs, file)
    for job in jobs:
        for name in (name for reads in job.reads for name in reads.values() if name in made):
            if is_association(job.input):
                raise UsageError(
                    f"{job.input}: has the member {name}, of which an inserted step makes "
                    f"{made[name]}: name that in its place, or use associate"
                )


def _last(made: str, found: dict[str, str]) -> str:
    while made in found:
        made = found[made]
    return made


def step_between(insert: Insert, where: str, mission: Mission) -> Between:
    """Check a step between two pipelines, and have the mission know its products.

    Raises
    ------
    UsageError
        It cannot be one; `where` names the place that says so.
    """
    step_class = _check_class(insert.step, f"{where}.step")
    if getattr(step_class, "step_defs", None):
        raise UsageError(f"{where}.step: {insert.step} is a pipeline: expected a single step")
    if not issubclass(step_class, base_of(mission.find_pipeline(insert.anchor))):
        raise UsageError(
            f"{where}.step: {insert.step} is on another base: between two pipelines a step is on "
            f"that of the mission, {mission.package}.stpipe.Step, which opens its files"
        )
    try:
        check_parameters(step_class, insert.parameters)
    except ParameterError as error:
        raise ParameterError(f"{where}.parameters: {error}") from error
    alias = step_class.class_alias or step_class.__name__
    suffix = str(insert.parameters.get("suffix") or insert.name or alias).lower()
    try:
        if mission.know_suffix:
            resolve_name(mission.know_suffix)(suffix)
    except ValueError as error:
        raise UsageError(f"{where}.parameters.suffix: {error}") from error
    return Between(where, insert, suffix)


def _check_class(path: str, where: str) -> Any:
    try:
        return find_step(path)
    except UnknownStepError as error:
        raise UsageError(f"{where}: {error}") from error


def with_step(job: Job, step: Between, source: str) -> Job:
    """Put a step between the pipelines of a job."""
    if is_association(job.input):
        raise UsageError(
            f"{step.where}: {step.insert.anchor} is to combine {job.input.name}, and a step "
            f"between pipelines takes single exposures: insert it into {step.insert.anchor}"
        )
    at = job.pipelines.index(step.insert.anchor)
    if step.insert.after:
        at += 1
        while at < len(job.pipelines) and "." in job.pipelines[at]:  # those inserted before
            at += 1
    root, ending = job.input.stem.rpartition("_")[0], job.input.suffix
    taken = job.input.stem if at == 0 else f"{root}_{job.handed_on[at - 1]}"
    made = f"{root}_{step.suffix}"
    reads: list[Any] = [*job.reads]
    own = {taken: f"{taken}{ending}"}
    if at < len(reads):
        own, reads[at] = reads[at], {made: f"{made}{ending}"}
    return replace(
        job,
        pipelines=_put(job.pipelines, at, step.insert.step),
        handed_on=_put(job.handed_on, at, step.suffix),
        reads=_put(reads, at, own),
        makes=_put(job.makes, at, frozenset({made})),
        layers={**job.layers, step.insert.step: (step.layer(source),)},
        own_suffixes=(*job.own_suffixes, step.suffix),
    )


def _put(sequence: Sequence[Any], at: int, item: Any) -> tuple[Any, ...]:
    return (*sequence[:at], item, *sequence[at:])


def with_classes(job: Job, classes: Mapping[str, str]) -> Job:
    """Put classes in the place of pipelines."""
    return replace(job, pipelines=tuple(classes.get(name, name) for name in job.pipelines))
