"""What a file calls for: the pipelines it goes through."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from flows.calibrate.job import Job
from stpipe_prefect.association import Association, is_association, read_association
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
from .header import Exposure, facts_of, read_exposure
from .products import RATES, calibrated, combined, product_of, rates, split_name

STAGE_OF = {DETECTOR1: 1, DARK: 1, GUIDER: 1, IMAGE2: 2, SPEC2: 2}  # the others: stage 3


def read_input(path: Path) -> Exposure | Association:
    """Find out what an input file is; see `read_exposure` and `read_association`."""
    return read_association(path) if is_association(path) else read_exposure(path)


def job_for(
    path: Path,
    *,
    pipeline: str | None = None,
    stage: int | None = None,
    others: Sequence[Path] = (),
    keywords: Collection[str] = (),
) -> Job:
    """Decide what a file calls for.

    Parameters
    ----------
    path : pathlib.Path
        An exposure or association.
    pipeline : str, optional
        Run this pipeline, whatever the file calls for.
    stage : {1, 2, 3}, optional
        Run only this stage of what the file calls for.
    others : sequence of pathlib.Path
        Inputs of the same run, of which members of an association may be made.
    keywords : collection of str
        What the job is to know of an exposure, as its ``facts``.

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
    pipelines: tuple[str, ...]
    suffix = "rate"
    if pipeline is not None:
        pipelines = (pipeline,)
    elif isinstance(found, Association):
        pipelines = (_for_association(found, others),)
        suffix = split_name(found.science[0])[1]
    else:
        stages = pipelines_for(found.exp_type, time_series=found.time_series)
        if stages is None:
            raise InputError(f"{path}: no pipeline for exposures of EXP_TYPE {found.exp_type}")
        pipelines, suffix = _for_exposure(found, stages), stage_2_suffix(stages)
    chosen = tuple(name for name in pipelines if stage in (None, _stage(name)) or pipeline)
    if not chosen:
        raise UsageError(f"{path}: its pipelines are {', '.join(pipelines)}, none of stage {stage}")
    if chosen[0] != pipelines[0]:
        raise UsageError(f"{path}: stage {stage} needs its _{suffix} product")
    if isinstance(found, Association):
        reads = {product_of(name): name for name in found.members}
        makes = combined(found, chosen[0], _stage(chosen[0]))
        return Job(path, chosen, _handed_on(chosen, suffix), (reads,), (makes,))
    facts = facts_of(path, found.header, keywords)
    return _with_products(Job(path, chosen, _handed_on(chosen, suffix), facts=facts))


def _stage(pipeline: str) -> int:
    return STAGE_OF.get(pipeline, 3)


def _handed_on(pipelines: Iterable[str], rate: str) -> tuple[str, ...]:
    """Name for each pipeline what others take of its products; `rate` is that of stage 1."""
    calibrated = "calints" if rate.endswith("ints") else "cal"
    return tuple({1: rate, 2: calibrated}.get(_stage(name), "") for name in pipelines)


def _with_products(job: Job) -> Job:
    """Say what an exposure's pipelines take and make, each of what the one before has made."""
    data = job.input.name
    reads, makes = [], []
    for name, handed_on in zip(job.pipelines, job.handed_on, strict=True):
        reads.append({product_of(data): data})
        is_first = _stage(name) == 1
        makes.append(rates(data) if is_first else frozenset({calibrated(data)}))
        data = f"{split_name(data)[0]}_{handed_on}{job.input.suffix}"
    return replace(job, reads=tuple(reads), makes=tuple(makes))


def _for_exposure(exposure: Exposure, stages: Stages) -> tuple[str, ...]:
    if exposure.suffix == "uncal":
        return tuple(name for name in (stages.first, stages.second) if name)
    if exposure.suffix in RATES and stages.second:
        return (stages.second,)
    raise UsageError(
        f"{exposure.path}: no pipeline takes {exposure.suffix or 'this'} files of EXP_TYPE "
        f"{exposure.exp_type} by itself; give an _uncal, a _rate, an association, or --pipeline"
    )


def is_for(association: Association, exposures: Sequence[Path]) -> bool:
    """Tell whether an association in a folder says what it is, and combines what comes of that.

    One of stage 2 takes exposures of the folder; members of stage 3 may be made elsewhere.
    """
    takes = {split_name(name)[0] for name in association.science}
    return _stage_of(association) == 3 or (
        _stage_of(association) == 2 and any(split_name(path.name)[0] in takes for path in exposures)
    )


def _for_association(association: Association, others: Sequence[Path]) -> str:
    """Go by the association's type, or else by its stage and what its first member is."""
    if named := _named_pipeline(association):
        return named
    first = _first_exposure(association, others)
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
    second_or_third = stages and (stages.second if _is_of_rates(association) else stages.third)
    if not second_or_third:
        raise InputError(
            f"{association.path}: asn_type is {association.kind or 'not given'}, and exposures "
            f"of EXP_TYPE {member.exp_type} are not combined; choose with --pipeline"
        )
    return second_or_third


def _named_pipeline(association: Association) -> str | None:
    """Find the pipeline for ``asn_type``; that of ``tso-image2`` and the like is the type's end."""
    kinds = (association.kind, association.kind.rpartition("-")[2])
    return next((f"calwebb_{kind}" for kind in kinds if f"calwebb_{kind}" in PIPELINES), None)


def _stage_of(association: Association) -> int | None:
    """Tell the stage by the type, or else by the rule, such as Asn_Lv2Image or DMS_Level3_Base."""
    if named := _named_pipeline(association):
        return _stage(named)
    level = re.search(r"(?:Lv|Level)([23])", str(association.table.get("asn_rule")))
    return int(level.group(1)) if level else None


def _is_of_rates(association: Association) -> bool:
    suffixes = {split_name(name)[1] for name in association.science}
    stage = _stage_of(association) or (2 if suffixes <= {*RATES} else 3)
    return stage == 2


def _first_exposure(association: Association, others: Iterable[Path]) -> Path:
    """Find the first science member, or of the inputs of the run that which it is made of."""
    name = association.science[0]
    path = association.find(name, Path())
    if path.exists():
        return path
    root, _ = split_name(name)
    exposures = (other for other in others if not is_association(other))
    return next((each for each in exposures if split_name(each.name)[0] == root), path)
