"""The products of JWST's pipelines, as far as others take them: who makes what another reads.

A product stands for all files that come with it: ``x_cal`` for what stage 2 or 3 makes under the
name ``x`` (``x_i2d``, ``x_x1d``, ``x_cat``, ...), ``x_calints`` for what it makes of integrations.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from stpipe_prefect.association import Association

from .exposure_types import WFS_IMAGE3

RATES = ("rate", "rateints")
STAGE_1 = (*RATES, "uncal", "ramp")


def split_name(name: str) -> tuple[str, str]:
    """Split the suffix off the name of a file or product, as jwst does; empty if there is none."""
    from jwst.lib.suffix import KNOW_SUFFIXES

    stem = PurePosixPath(name).stem
    root, _, suffix = stem.rpartition("_")
    return (root, suffix) if suffix == "segm" or suffix in KNOW_SUFFIXES else (stem, "")


def product_of(name: str) -> str:
    """Name the product that a file belongs to."""
    root, suffix = split_name(name)
    return f"{root}_{suffix}" if suffix in STAGE_1 else calibrated(name)


def calibrated(name: str) -> str:
    """Name what stage 2 makes of a file."""
    root, suffix = split_name(name)
    return f"{root}_calints" if suffix.endswith("ints") else f"{root}_cal"


def rates(name: str) -> frozenset[str]:
    """Name what stage 1 makes of a file."""
    root, _ = split_name(name)
    return frozenset(f"{root}_{suffix}" for suffix in RATES)


def combined(association: Association, pipeline: str, stage: int) -> frozenset[str]:
    """Name what a pipeline makes of an association.

    Stage 3 also leaves a file for each member, with the association's identifier in its name
    (``_crf``).
    """
    ints = stage == 2 and split_name(association.science[0])[1].endswith("ints")
    ending = "calints" if ints else "cal"
    made = {f"{split_name(name)[0]}_{ending}" for name in association.product_names}
    if stage == 3 and pipeline != WFS_IMAGE3:
        identifier = association.table.get("asn_id")
        for name in association.science:
            root, _, kind = calibrated(name).rpartition("_")
            made.add(f"{root}_{identifier}_{kind}")
    return frozenset(made)
