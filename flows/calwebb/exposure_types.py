"""Which pipelines an exposure calls for.

Source: JWST pipeline documentation, "Pipelines vs. Exposure Type",
https://jwst-pipeline.readthedocs.io/en/latest/jwst/pipeline/main.html; and for the modes whose
stage 2 works on integrations, "Stage 2 Associations: Rules" of the same.
"""

from __future__ import annotations

from typing import NamedTuple

DETECTOR1 = "calwebb_detector1"
DARK = "calwebb_dark"
GUIDER = "calwebb_guider"
IMAGE2 = "calwebb_image2"
SPEC2 = "calwebb_spec2"
IMAGE3 = "calwebb_image3"
SPEC3 = "calwebb_spec3"
CORON3 = "calwebb_coron3"
AMI3 = "calwebb_ami3"
TSO3 = "calwebb_tso3"
WFS_IMAGE3 = "calwebb_wfs-image3"  # by itself a step; only associations call for it

PIPELINES = (
    DETECTOR1,
    DARK,
    GUIDER,
    IMAGE2,
    SPEC2,
    IMAGE3,
    SPEC3,
    CORON3,
    AMI3,
    TSO3,
    WFS_IMAGE3,
)


class Stages(NamedTuple):
    """The pipeline of each stage, or `None` where an exposure type has no such stage."""

    first: str
    second: str | None = None
    third: str | None = None


_MODES: dict[Stages, tuple[str, ...]] = {
    Stages(DARK): (
        "FGS_DARK",
        "MIR_DARKALL",
        "MIR_DARKIMG",
        "MIR_DARKMRS",
        "NIS_DARK",
        "NRC_DARK",
        "NRS_DARK",
    ),
    Stages(GUIDER): (
        "FGS_ACQ1",
        "FGS_ACQ2",
        "FGS_FINEGUIDE",
        "FGS_ID-IMAGE",
        "FGS_ID-STACK",
        "FGS_TRACK",
    ),
    Stages(DETECTOR1): (
        "FGS_INTFLAT",
        "FGS_SKYFLAT",
        "MIR_FLATIMAGE",
        "MIR_FLATIMAGE-EXT",
        "MIR_FLATMRS",
        "MIR_FLATMRS-EXT",
        "NIS_EXTCAL",
        "NIS_LAMP",
        "NRC_FLAT",
        "NRC_GRISM",
        "NRC_LED",
        "NRS_AUTOFLAT",
    ),
    Stages(DETECTOR1, IMAGE2): (
        "FGS_FOCUS",
        "MIR_CORONCAL",
        "MIR_TACONFIRM",
        "MIR_TACQ",
        "NIS_FOCUS",
        "NIS_TACONFIRM",
        "NIS_TACQ",
        "NRC_FOCUS",
        "NRC_TACONFIRM",
        "NRC_TACQ",
        "NRS_CONFIRM",
        "NRS_FOCUS",
        "NRS_IMAGE",
        "NRS_MIMF",
        "NRS_MSATA",
        "NRS_TACONFIRM",
        "NRS_TACQ",
        "NRS_TASLIT",
        "NRS_VERIFY",
        "NRS_WATA",
    ),
    Stages(DETECTOR1, SPEC2): ("NRS_AUTOWAVE", "NRS_LAMP"),
    Stages(DETECTOR1, IMAGE2, IMAGE3): ("FGS_IMAGE", "MIR_IMAGE", "NIS_IMAGE", "NRC_IMAGE"),
    Stages(DETECTOR1, IMAGE2, CORON3): ("MIR_4QPM", "MIR_LYOT", "NRC_CORON"),
    Stages(DETECTOR1, IMAGE2, AMI3): ("NIS_AMI",),
    Stages(DETECTOR1, IMAGE2, TSO3): ("NRC_TSIMAGE",),
    Stages(DETECTOR1, SPEC2, SPEC3): (
        "MIR_LRS-FIXEDSLIT",
        "MIR_LRS-SLITLESS",
        "MIR_MRS",
        "MIR_WFSS",
        "NIS_SOSS",
        "NIS_WFSS",
        "NRC_WFSS",
        "NRS_FIXEDSLIT",
        "NRS_IFU",
        "NRS_MSASPEC",
    ),
    Stages(DETECTOR1, SPEC2, TSO3): ("NRC_TSGRISM", "NRS_BRIGHTOBJ"),
}
_BY_TYPE = {exp_type: stages for stages, types in _MODES.items() for exp_type in types}

INTEGRATIONS_IN_STAGE_2 = (CORON3, AMI3, TSO3)


def pipelines_for(exp_type: str, *, time_series: bool = False) -> Stages | None:
    """Find the pipelines for an exposure type.

    Parameters
    ----------
    exp_type : str
        ``EXP_TYPE`` of the exposure, such as ``"NRC_IMAGE"``.
    time_series : bool
        Its ``TSOVISIT``; says of an imaging or slitless exposure that it is combined by
        calwebb_tso3.

    Returns
    -------
    Stages or None
        `None` for an exposure type that has no pipeline.
    """
    stages = _BY_TYPE.get(exp_type.upper())
    if stages is not None and stages.third is not None and time_series:
        return stages._replace(third=TSO3)
    return stages


def stage_2_suffix(stages: Stages) -> str:
    """Name the product of stage 1 that stage 2 takes: the mean, or every integration."""
    return "rateints" if stages.third in INTEGRATIONS_IN_STAGE_2 else "rate"
