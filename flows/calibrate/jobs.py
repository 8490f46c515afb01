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
    """

    input: Path
    pipelines: tuple[str, ...]
    handed_on: str = "rate"
    reads: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    makes: tuple[Products, ...] = field(default=(), compare=False)


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
    """Sort jobs, each after those it needs; otherwise as they were given."""
    by_name = {job.input.name: job for job in jobs}
    order = TopologicalSorter[str](dict.fromkeys(by_name, ()))
    for name, needed in needs_of(jobs).items():
        order.add(name, *needed)
    try:
        return [by_name[name] for name in order.static_order()]
    except CycleError as error:
        first, second, *_ = error.args[1]
        raise UsageError(
            f"{by_name[second].input}: takes a product of {by_name[first].input}, which itself "
            "waits for it; calibrate them in two runs"
        ) from error


def needs_of(jobs: Iterable[Job]) -> dict[str, frozenset[str]]:
    """Name, for each input, those among the others that make what it takes."""
    jobs = list(jobs)
    makers = {product: job.input.name for job in jobs for made in job.makes for product in made}
    return {
        job.input.name: frozenset(
            makers[product] for reads in job.reads for product in reads if product in makers
        )
        - {job.input.name}
        for job in jobs
    }


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


def files_of(job: Job, folder: Path) -> list[Path]:
    """List all files a job reads: its input and, of an association, the members.

    Parameters
    ----------
    job : Job
    folder : pathlib.Path
        Where members are that are not beside their association.
    """
    members = read_association(job.input).files(folder) if is_association(job.input) else []
    return [job.input, *members]


def pipelines_of(jobs: Iterable[Job]) -> list[str]:
    """List the pipelines that jobs go through, each once."""
    return list(dict.fromkeys(name for job in jobs for name in job.pipelines))


def handed_on(products: Iterable[Path], job: Job) -> Iterator[Path]:
    """Find among the products of one pipeline what the next one of the job takes."""
    return (path for path in products if path.stem.endswith(f"_{job.handed_on}"))


def run_names(job: Job) -> list[str]:
    """Name the run of each pipeline of a job; see `stpipe_prefect.provenance.record.run_name`."""
    return [run_name(job.input.name, _alias(pipeline)) for pipeline in job.pipelines]


def _alias(pipeline: str) -> str:
    if "::" in pipeline or "." not in pipeline:
        return pipeline.rpartition("::")[2]
    step_class = find_step(pipeline)
    return str(step_class.class_alias or step_class.__name__)
