"""What a file calls for: the pipelines it goes through."""

from __future__ import annotations

from pathlib import Path

from flows.calibrate.inputs import Association, read_association
from flows.calibrate.jobs import Job
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
from .header import Exposure, read_exposure

STAGE_OF = {DETECTOR1: 1, DARK: 1, GUIDER: 1, IMAGE2: 2, SPEC2: 2}  # the others: stage 3


def read_input(path: Path) -> Exposure | Association:
    """Find out what an input file is; see `read_exposure` and `read_association`."""
    return read_association(path) if path.suffix == ".json" else read_exposure(path)


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
