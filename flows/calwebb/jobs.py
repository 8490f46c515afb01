"""What is to be done: which pipelines, on which input, in which order."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stpipe_prefect.exceptions import InputError, UsageError

from .exposure_types import (
    DARK,
    DETECTOR1,
    GUIDER,
    IMAGE2,
    PIPELINES,
    SPEC2,
    Stages,
    pipelines_for,
    stage_2_suffix,
)
from .inputs import Association, Exposure, read_input

STAGE_OF = {DETECTOR1: 1, DARK: 1, GUIDER: 1, IMAGE2: 2, SPEC2: 2}  # the others: stage 3


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
    """

    input: Path
    pipelines: tuple[str, ...]
    handed_on: str = "rate"


def job_for(path: Path, *, pipeline: str | None = None, stage: int | None = None) -> Job:
    """Decide what a file calls for.

    Parameters
    ----------
    path : pathlib.Path
        An exposure or association.
    pipeline : str, optional
        Run this pipeline, whatever the file calls for.
    stage : {1, 2, 3}, optional
        Run only this stage of what the file calls for.

    Returns
    -------
    Job

    Raises
    ------
    InputError
        The file cannot be processed.
    UsageError
        Nothing the file calls for is of that stage, or that stage takes another product.
    """
    found = read_input(path)
    if pipeline is not None:
        return Job(path, (pipeline,))
    if isinstance(found, Association):
        pipelines: tuple[str, ...] = (_for_association(found),)
        handed_on = ""
    else:
        stages = pipelines_for(found.exp_type, time_series=found.time_series)
        if stages is None:
            raise InputError(f"{path}: no pipeline for exposures of EXP_TYPE {found.exp_type}")
        pipelines = _for_exposure(found, stages)
        handed_on = stage_2_suffix(stages)
    chosen = tuple(name for name in pipelines if stage in (None, STAGE_OF.get(name, 3)))
    if not chosen:
        raise UsageError(f"{path}: calls for {', '.join(pipelines)}, nothing of stage {stage}")
    if chosen[0] != pipelines[0]:
        raise UsageError(f"{path}: stage {stage} takes its _{handed_on} product instead")
    return Job(path, chosen, handed_on)


def plan_jobs(
    paths: Iterable[Path], *, pipeline: str | None = None, stage: int | None = None
) -> tuple[list[Job], dict[Path, InputError]]:
    """Decide what each file calls for; see `job_for`.

    Returns
    -------
    list of Job, dict of pathlib.Path to InputError
        What is to be done, and the files that cannot be processed.

    Raises
    ------
    UsageError
        As `job_for`, or the products of two files would have the same names.
    """
    jobs, refused = [], {}
    named: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        if path.name in named:
            raise UsageError(
                f"{path}: its products would take the place of those of {named[path.name]}; "
                "calibrate them into different folders"
            )
        named[path.name] = path
        try:
            jobs.append(job_for(path, pipeline=pipeline, stage=stage))
        except InputError as error:
            refused[path] = error
    return jobs, refused


def files_of(job: Job, folder: Path) -> list[Path]:
    """List all files a job reads: its input and, of an association, the members.

    Parameters
    ----------
    job : Job
    folder : pathlib.Path
        Where members are that are not beside their association.
    """
    found = read_input(job.input)
    if not isinstance(found, Association):
        return [job.input]
    beside = [job.input.parent / member for member in found.members]
    return [job.input, *(path if path.exists() else folder / path.name for path in beside)]


def needs_of(job: Job, others: Iterable[Job]) -> frozenset[str]:
    """Name the inputs among `others` of which an association takes a product.

    Products of an exposure have its name but for the suffix.
    """
    if job.input.suffix != ".json":
        return frozenset()
    members = {_without_suffix(path) for path in files_of(job, Path())}
    return frozenset(
        other.input.name for other in others if _without_suffix(other.input) in members
    )


def _without_suffix(path: Path) -> str:
    return path.stem.rpartition("_")[0]


def pipelines_of(jobs: Iterable[Job]) -> list[str]:
    """List the pipelines that jobs go through, each once."""
    return list(dict.fromkeys(name for job in jobs for name in job.pipelines))


def with_members_beside(association: Path, folder: Path) -> Path:
    """Return an association whose members are found where they are.

    jwst looks for members in the association's folder. Where they were made into another one,
    a copy of the association is put there.

    Raises
    ------
    InputError
        A member is in neither folder.
    """
    found = read_input(association)
    assert isinstance(found, Association)
    if _missing(found.members, association.parent):
        absent = _missing(found.members, folder)
        if absent:
            raise InputError(
                f"{association}: its member {absent[0]} is neither beside it nor in {folder}"
                + (f", nor are {len(absent) - 1} more" if absent[1:] else "")
            )
        copy = folder / association.name
        if in_place(association, folder) != copy:
            shutil.copyfile(association, copy)
        return copy
    return association


def in_place(data: Path, folder: Path) -> Path:
    """Return the copy of an association that an earlier run put beside its members, if any."""
    copy = folder / data.name
    if data.suffix == ".json" and copy.is_file() and copy.read_bytes() == data.read_bytes():
        return copy
    return data


def handed_on(products: Iterable[Path], job: Job) -> Iterator[Path]:
    """Find among the products of one pipeline what the next one of the job takes."""
    return (path for path in products if path.stem.endswith(f"_{job.handed_on}"))


def _for_exposure(exposure: Exposure, stages: Stages) -> tuple[str, ...]:
    if exposure.suffix == "uncal":
        return tuple(name for name in (stages.first, stages.second) if name)
    if exposure.suffix in ("rate", "rateints") and stages.second:
        return (stages.second,)
    raise UsageError(
        f"{exposure.path}: no pipeline takes {exposure.suffix or 'this'} files of EXP_TYPE "
        f"{exposure.exp_type} by itself; give an _uncal, a _rate, an association, or --pipeline"
    )


def _for_association(association: Association) -> str:
    """Go by the association's type, or else by what its first member is."""
    pipeline = f"calwebb_{association.kind}"
    if pipeline in PIPELINES:
        return pipeline
    first = association.path.parent / association.members[0]
    try:
        member = read_input(first)
    except InputError as error:
        raise InputError(
            f"{association.path}: its asn_type names no pipeline, and its first member cannot "
            f"tell: {error}; choose with --pipeline"
        ) from error
    if isinstance(member, Association):
        raise InputError(f"{association.path}: its member {first} is an association")
    stages = pipelines_for(member.exp_type, time_series=member.time_series)
    if stages is None or stages.third is None:
        raise InputError(
            f"{association.path}: asn_type is {association.kind or 'not given'}, and exposures "
            f"of EXP_TYPE {member.exp_type} are not combined; choose with --pipeline"
        )
    return stages.third


def _missing(members: Iterable[str], folder: Path) -> list[str]:
    return [member for member in members if not (folder / member).is_file()]
