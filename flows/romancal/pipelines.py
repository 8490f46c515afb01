"""What a file calls for: a raw exposure is calibrated, calibrated ones are combined."""

from __future__ import annotations

from pathlib import Path

from flows.calibrate.inputs import Association, read_association
from flows.calibrate.jobs import Job
from stpipe_prefect.exceptions import UsageError

from .header import read_exposure

EXPOSURE = "roman_elp"
MOSAIC = "roman_mos"
PIPELINES = (EXPOSURE, MOSAIC)

RAW = "_uncal.asdf"


def job_for(path: Path, *, pipeline: str | None = None, stage: int | None = None) -> Job:
    """Decide what a file calls for.

    Parameters
    ----------
    path : pathlib.Path
        An exposure or association.
    pipeline : str, optional
        Run this pipeline, whatever the file calls for.
    stage : None
        Every input goes through one pipeline.

    Raises
    ------
    InputError
        The file cannot be processed.
    UsageError
        No pipeline takes such a file.
    """
    if path.suffix == ".json":
        found = read_association(path)
        return Job(path, (pipeline or pipeline_for(found),))
    read_exposure(path)
    if pipeline is None and not path.name.endswith(RAW):
        raise UsageError(
            f"{path}: no pipeline takes this by itself; give an {RAW} file, an association, "
            "or --pipeline"
        )
    return Job(path, (pipeline or EXPOSURE,))


def pipeline_for(association: Association) -> str:
    """Decide what an association calls for: raw exposures are calibrated together."""
    is_raw = any(member.endswith(RAW) for member in association.members)
    return EXPOSURE if is_raw else MOSAIC
