"""The jobs of a campaign: one for each input, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError, UsageError
from stpipe_prefect.parameters.files import read_parameter_file

from .inputs import check_is_file
from .job import Job, Products
from .mission import Mission


def plan_jobs(
    paths: Iterable[Path],
    mission: Mission,
    *,
    pipeline: str | None = None,
    stage: int | None = None,
    keywords: Collection[str] = (),
    adapt: Callable[[list[Job]], list[Job]] = list,
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
    keywords : collection of str
        What jobs are to know of their exposures, as their ``facts``.
    adapt : callable
        Has jobs go through other pipelines, before it is decided who makes what.

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
            job = mission.job_for(
                path, pipeline=pipeline, stage=stage, others=inputs, keywords=keywords
            )
            jobs.append(job)
        except (InputError, UsageError) as error:
            refused[path] = error
    jobs = adapt(jobs)
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
        f"{path}: its products would overwrite those of {other} ({what}); leave one "
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
    makers = makers_of(jobs)
    by_input = {}
    for job in jobs:
        needs = {makers[each].input for reads in job.reads for each in reads if each in makers}
        by_input[job.input] = replace(job, needs=frozenset(needs - {job.input}))
    order = TopologicalSorter({path: job.needs for path, job in by_input.items()})
    try:
        return [by_input[path] for path in order.static_order()]
    except CycleError as error:
        first, second, *_ = error.args[1]
        raise UsageError(
            f"{second}: needs a product of {first}, which itself waits for it; calibrate them in "
            "two runs"
        ) from error


def makers_of(jobs: Iterable[Job]) -> dict[str, Job]:
    """Find which job makes each product."""
    return {product: job for job in jobs for made in job.makes for product in made}


def exposures_behind(job: Job, makers: Mapping[str, Job], folder: Path) -> Iterator[Job | Path]:
    """Go back to the exposures of a job: itself, or what its science members are made of.

    Those of jobs as their jobs; members that nothing makes as their files, some in `folder`.
    """
    if not is_association(job.input):
        yield job
        return
    association = read_association(job.input)
    products = {name: product for reads in job.reads for product, name in reads.items()}
    for name in association.science:
        maker = makers.get(products.get(name, ""))
        if maker is None or maker.input == job.input:
            yield association.find(name, folder)
        else:
            yield from exposures_behind(maker, makers, folder)


def check_output_files(jobs: Iterable[Job], shares: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a name for the products of one job that is given to several.

    `shares` has the parameters of each pipeline; ``config_file`` names a file with more.

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
