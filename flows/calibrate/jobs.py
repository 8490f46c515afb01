"""What is to be done: which pipelines, on which input, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError, UsageError
from stpipe_prefect.parameters.files import read_parameter_file
from stpipe_prefect.provenance.record import run_name
from stpipe_prefect.registry import find_step

from .inputs import check_is_file

if TYPE_CHECKING:
    from stpipe_prefect.orchestration.plan import Plan

    from .mission import Mission

Products = frozenset[str]
"""Names such as ``x_rate`` and ``x_cal``; each mission knows who makes and takes them."""


@dataclass(frozen=True)
class Job:
    """One input, and the pipelines it goes through.

    Attributes
    ----------
    input : pathlib.Path
        An exposure or association.
    pipelines : tuple of str
        Aliases, in the order they run; each takes a product of the one before.
    handed_on : str
        Suffix of the product that goes from one to the next.
    reads : tuple of mapping
        Products that each pipeline takes, with the names of their files.
    makes : tuple of frozenset of str
        Products that each pipeline makes.
    needs : frozenset of pathlib.Path
        Inputs of the other jobs that make what this one takes.
    plans : tuple of Plan or None
        What each pipeline has to do, and why; None before that is planned.
    """

    input: Path
    pipelines: tuple[str, ...]
    handed_on: str = "rate"
    reads: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    makes: tuple[Products, ...] = field(default=(), compare=False)
    needs: frozenset[Path] = field(default=frozenset(), compare=False)
    plans: tuple[Plan, ...] | None = field(default=None, compare=False)

    @property
    def is_up_to_date(self) -> bool:
        """Whether its plans say that there is nothing to do."""
        return self.plans is not None and all(plan.is_up_to_date for plan in self.plans)

    def files(self, folder: Path) -> list[Path]:
        """List all files it reads: the input and, of an association, members; some in `folder`."""
        is_one = is_association(self.input)
        return [self.input, *(read_association(self.input).files(folder) if is_one else ())]

    def hands_on(self, product: Path) -> bool:
        """Tell whether a product of one pipeline is what the next one takes."""
        return product.stem.endswith(f"_{self.handed_on}")

    def run_names(self) -> list[str]:
        """Name the run of each pipeline; see `stpipe_prefect.provenance.record.run_name`."""
        return [run_name(self.input.name, _alias(pipeline)) for pipeline in self.pipelines]


def plan_jobs(
    paths: Iterable[Path],
    mission: Mission,
    *,
    pipeline: str | None = None,
    stage: int | None = None,
) -> tuple[list[Job], dict[Path, InputError | UsageError]]:
    """Decide what each file calls for, and in which order.

    A product has one maker: what an association takes is not calibrated by itself as well,
    unless something else takes what is made of it.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Exposures and associations.
    mission : Mission
    pipeline : str, optional
        Run this pipeline, whatever a file calls for.
    stage : int, optional
        Run only this stage of what a file calls for.

    Returns
    -------
    list of Job, dict of pathlib.Path to InputError or UsageError
        What is to be done, each after those whose products it takes; and the files that cannot
        be processed or call for nothing of that stage.

    Raises
    ------
    UsageError
        Two files would make the same product, or each takes what the other makes.
    """
    jobs: list[Job] = []
    refused: dict[Path, InputError | UsageError] = {}
    inputs = list(dict.fromkeys(paths))
    _check_names(inputs)
    for path in inputs:
        try:
            check_is_file(path)
            jobs.append(mission.job_for(path, pipeline=pipeline, stage=stage, others=inputs))
        except (InputError, UsageError) as error:
            refused[path] = error
    exposures = [job for job in jobs if not is_association(job.input)]
    associations = [job for job in jobs if is_association(job.input)]
    _check_products(exposures)
    if pipeline is None:
        exposures = [*_without_members(exposures, associations)]
    jobs = [*exposures, *associations]
    _check_products(jobs)
    return _in_order(jobs), refused


def _check_names(inputs: Iterable[Path]) -> None:
    named: dict[str, Path] = {}
    for path in inputs:
        if path.name in named:
            raise _same_products(path, named[path.name], "its name")
        named[path.name] = path


def _check_products(jobs: Iterable[Job]) -> None:
    """Refuse jobs that make the same product, or one that is the input of another."""
    makers: dict[str, Job] = {}
    for job in jobs:
        own = () if is_association(job.input) else job.reads[0]
        for product in sorted(Products(own).union(*job.makes)):
            other = makers.setdefault(product, job)
            if other is not job:
                raise _same_products(job.input, other.input, product)


def _same_products(path: Path, other: Path, what: str) -> UsageError:
    return UsageError(
        f"{path}: its products would take the place of those of {other} ({what}); leave one "
        "out, or calibrate them into different folders"
    )


def _without_members(exposures: Iterable[Job], associations: Iterable[Job]) -> Iterator[Job]:
    """Leave to associations what they calibrate."""
    taken = Products().union(*(each for job in associations for each in job.reads))
    made = Products().union(*(each for job in associations for each in job.makes))
    for job in exposures:
        kept = len(job.pipelines)
        while (
            kept
            and not (job.makes[kept - 1] & (taken - made))
            and taken & job.reads[kept - 1].keys()
        ):
            kept -= 1
        if kept:
            yield replace(
                job, pipelines=job.pipelines[:kept], reads=job.reads[:kept], makes=job.makes[:kept]
            )


def _in_order(jobs: list[Job]) -> list[Job]:
    """Put each after those it needs; otherwise they keep their order."""
    makers = {product: job.input for job in jobs for made in job.makes for product in made}
    by_input = {}
    for job in jobs:
        needs = {makers[product] for reads in job.reads for product in reads if product in makers}
        by_input[job.input] = replace(job, needs=frozenset(needs - {job.input}))
    order = TopologicalSorter({path: job.needs for path, job in by_input.items()})
    try:
        return [by_input[path] for path in order.static_order()]
    except CycleError as error:
        first, second, *_ = error.args[1]
        raise UsageError(
            f"{second}: takes a product of {first}, which itself waits for it; calibrate them in "
            "two runs"
        ) from error


def check_output_files(jobs: Iterable[Job], shares: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a name for the products of one job that is given to several.

    Parameters
    ----------
    jobs : iterable of Job
    shares : mapping
        Parameters for each pipeline; ``config_file`` names a file with more.

    Raises
    ------
    UsageError
        An ``output_file`` is for two inputs.
    """
    files = {pipeline: list(_output_files(share)) for pipeline, share in shares.items()}
    for pipeline, share in shares.items():
        if file := share.get("config_file"):
            files[pipeline] += _output_files(read_parameter_file(Path(file)).parameters)
    named: dict[str, Job] = {}
    for job in jobs:
        for pipeline in job.pipelines:
            for name in files[pipeline]:
                other = named.setdefault(name, job)
                if other is not job:
                    raise _same_products(job.input, other.input, f"output_file is {name} for both")


def _output_files(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _output_files(value)
        elif name == "output_file" and value not in (None, "None", ""):
            yield str(value)


def pipelines_of(jobs: Iterable[Job]) -> list[str]:
    """List the pipelines that jobs go through, each once."""
    return list(dict.fromkeys(name for job in jobs for name in job.pipelines))


def _alias(pipeline: str) -> str:
    if "::" in pipeline or "." not in pipeline:
        return pipeline.rpartition("::")[2]
    step_class = find_step(pipeline)
    return str(step_class.class_alias or step_class.__name__)
