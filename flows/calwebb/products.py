"""The products of JWST's pipelines, as far as others take them: who makes what another reads.

A product stands for all files that come with it: ``x_cal`` for what stage 2 or 3 makes under the
name ``x`` (``x_i2d``, ``x_x1d``, ``x_cat``, ...), ``x_calints`` for what it makes of integrations.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from stpipe_prefect.association import Association

from .exposure_types import WFS_IMAGE3

RATES = ("rate", "rateints")
STAGE_1 = (*RATES, "uncal", "ramp")


_own: set[str] = set()


def know_suffix(suffix: str) -> None:
    """Have products of this suffix taken for such of their own, by jwst, too.

    Raises
    ------
    ValueError
        Others have it.
    """
    from jwst.lib import suffix as names

    if suffix in (*STAGE_1, "cal", "calints"):
        raise ValueError(f"{suffix!r} is that of other products: choose another suffix")
    if suffix not in names.KNOW_SUFFIXES:
        names.KNOW_SUFFIXES.append(suffix)
        known = "|".join(map(re.escape, names.KNOW_SUFFIXES))
        names.REMOVE_SUFFIX_REGEX = re.compile(rf"^(?P<root>.+?)((?P<separator>_|-)({known}))?$")
    _own.add(suffix)


def split_name(name: str) -> tuple[str, str]:
    """Split the suffix off the name of a file or product, as jwst does; empty if there is none."""
    from jwst.lib.suffix import KNOW_SUFFIXES

    stem = PurePosixPath(name).stem
    for own in (own for own in _own if stem.endswith(f"_{own}")):
        return stem.removesuffix(f"_{own}"), own
    root, _, suffix = stem.rpartition("_")
    return (root, suffix) if suffix == "segm" or suffix in KNOW_SUFFIXES else (stem, "")


def product_of(name: str) -> str:
    """Name the product that a file belongs to."""
    root, suffix = split_name(name)
    is_single = suffix in STAGE_1 or suffix in _own
    return f"{root}_{suffix}" if is_single else calibrated(name)


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
