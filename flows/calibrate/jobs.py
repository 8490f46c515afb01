"""What is to be done: which pipelines, on which input, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.exceptions import InputError, UsageError

from .inputs import read_association

if TYPE_CHECKING:
    from .mission import Mission


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


def plan_jobs(
    paths: Iterable[Path],
    mission: Mission,
    *,
    pipeline: str | None = None,
    stage: int | None = None,
) -> tuple[list[Job], dict[Path, InputError | UsageError]]:
    """Decide what each file calls for.

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
        What is to be done, and the files that cannot be processed or call for nothing of that
        stage.

    Raises
    ------
    UsageError
        The products of two files would have the same names.
    """
    jobs: list[Job] = []
    refused: dict[Path, InputError | UsageError] = {}
    named: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        if path.name in named:
            raise UsageError(
                f"{path}: its products would take the place of those of {named[path.name]}; "
                "calibrate them into different folders"
            )
        named[path.name] = path
        try:
            jobs.append(mission.job_for(path, pipeline=pipeline, stage=stage))
        except (InputError, UsageError) as error:
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
    if job.input.suffix != ".json":
        return [job.input]
    beside = [job.input.parent / name for name in read_association(job.input).members]
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


def handed_on(products: Iterable[Path], job: Job) -> Iterator[Path]:
    """Find among the products of one pipeline what the next one of the job takes."""
    return (path for path in products if path.stem.endswith(f"_{job.handed_on}"))
