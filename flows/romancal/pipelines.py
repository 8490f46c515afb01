"""What a file calls for: a raw exposure is calibrated, calibrated ones are combined."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from flows.calibrate.job import Job
from flows.calibrate.selectors import Facts
from stpipe_prefect.association import Association, is_association, read_association
from stpipe_prefect.exceptions import UsageError

from .header import facts_of, read_exposure

EXPOSURE = "roman_elp"
MOSAIC = "roman_mos"
PIPELINES = (EXPOSURE, MOSAIC)

RAW = "_uncal.asdf"
PRODUCTS = (".asdf", ".parquet")


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
    stage : None
        Every input goes through one pipeline.
    others : sequence of pathlib.Path
        Inputs of the same run.
    keywords : collection of str
        What the job is to know of an exposure, as its ``facts``.

    Raises
    ------
    InputError
        The file cannot be processed.
    UsageError
        No pipeline takes such a file.
    """
    if is_association(path):
        found = read_association(path)
        name = pipeline or pipeline_for(found)
        made = found.members if name == EXPOSURE else found.product_names
        return _job(path, name, found.members, made)
    facts = facts_of(path, read_exposure(path), keywords)
    if pipeline is None and not path.name.endswith(RAW):
        raise UsageError(
            f"{path}: no pipeline takes this by itself; give an {RAW} file, an association, "
            "or --pipeline"
        )
    return _job(path, pipeline or EXPOSURE, [path.name], [path.name], facts)


def _job(
    path: Path, pipeline: str, taken: Sequence[str], made: Sequence[str], facts: Facts | None = None
) -> Job:
    reads = {product_of(name): name for name in taken}
    handed_on = "cal" if pipeline == EXPOSURE and not is_association(path) else ""
    makes = frozenset(map(calibrated, made))
    return Job(path, (pipeline,), (handed_on,), (reads,), (makes,), facts=facts or {})


def product_of(name: str) -> str:
    """Name the product that a file belongs to: raw, or with all that is made under its name."""
    return PurePosixPath(name).stem if name.endswith(RAW) else calibrated(name)


def calibrated(name: str) -> str:
    """Name what a pipeline makes of a file, or of an association under a name."""
    path = PurePosixPath(name)
    root = path.stem.rpartition("_")[0] if path.suffix in PRODUCTS else name
    return f"{root}_cal"


def pipeline_for(association: Association) -> str:
    """Decide what an association calls for: raw exposures are calibrated together."""
    is_raw = any(member.endswith(RAW) for member in association.members)
    return EXPOSURE if is_raw else MOSAIC
