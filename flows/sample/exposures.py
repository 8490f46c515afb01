"""A small NIRCam imaging program: dithered raw exposures, their association, their truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from . import nircam
from .files import save
from .header import PROGRAMME, exposure_header, exposure_name
from .ramps import SKY_BRIGHTNESS, count_rate, expose, scatter_cosmic_rays
from .sky import Pointing, Star, dither, footprint, scatter_stars
from .truth import ExposureTruth, Truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.random import Generator

OBSERVATION = 1
PRODUCT = f"jw{PROGRAMME}-o001_t001_nircam_clear-f200w"
"""Name of the combined products, without suffix."""
POINTING_ERROR = 0.02
"""Arcsec along each axis: how far, typically, the pointing in the header is off in all
exposures but the first. Only once tweakreg has aligned them do the stars fall into place."""
ASSOCIATION = f"jw{PROGRAMME}-o001_20220712t000000_image3_00001_asn.json"
TRUTH = "truth.json"


@dataclass(frozen=True)
class Program:
    """Where the files of a program are.

    Attributes
    ----------
    exposures : the ``*_uncal.fits``
    association : what calwebb_image3 combines; its members are the ``*_cal.fits`` to be made
    truth : what `Truth.load` reads
    """

    exposures: tuple[Path, ...]
    association: Path
    truth: Path


def make_program(
    folder: Path,
    *,
    size: int = 320,
    dithers: int = 4,
    integrations: int = 2,
    groups: int = 6,
    stars: int = 40,
    seed: int = 1,
    filter: str = nircam.FILTER,
    first: int = 1,
    field: Sequence[Star] = (),
) -> Program:
    """Simulate a program into a folder; the same arguments give the same bytes.

    Parameters
    ----------
    folder : where to write; made if absent
    size : pixels along one side of the detector's cut-out
    dithers : how many exposures
    integrations, groups : of each exposure; jumps show from four groups on
    stars : how many to put on the field, at least 14 pixels from one another
    seed : of the random numbers
    filter : ``F200W`` or ``F150W``
    first : number of the first exposure
    field : the stars, if not others are to be put on the field

    Raises
    ------
    ValueError
        If so many stars do not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pointings = dither(rng, dithers, size)
    stars_put = [*field] or scatter_stars(rng, stars, size, groups * nircam.GROUP_TIME)
    exposures, truths = [], []
    for number, pointing in enumerate(pointings, first):
        path, truth = _make_exposure(
            folder,
            number,
            pointing,
            stars_put,
            rng,
            size,
            integrations,
            groups,
            filter,
            is_exact=number == first,
        )
        exposures.append(path)
        truths.append(truth)
    association = folder / ASSOCIATION
    _write_association(association, [truth.name for truth in truths])
    Truth(tuple(stars_put), tuple(truths)).save(folder / TRUTH)
    return Program(tuple(exposures), association, folder / TRUTH)


def _make_exposure(
    folder: Path,
    number: int,
    pointing: Pointing,
    field: list[Star],
    rng: Generator,
    size: int,
    integrations: int,
    groups: int,
    filter: str,
    *,
    is_exact: bool,
) -> tuple[Path, ExposureTruth]:
    from stdatamodels.jwst.datamodels import Level1bModel

    name = exposure_name(OBSERVATION, number, nircam.DETECTOR)
    # The zodiacal light differs from exposure to exposure, as skymatch expects.
    rate = count_rate(field, pointing, size, sky=SKY_BRIGHTNESS * (1 + 0.05 * number))
    cosmic_rays = scatter_cosmic_rays(rng, rate, integrations, groups)
    ramps, saturated = expose(rng, rate, cosmic_rays, integrations, groups)
    path = folder / f"{name}_uncal.fits"
    stated = pointing if is_exact else _mistake(rng, pointing)
    with Level1bModel(ramps) as model:
        model.update({"meta": _header(number, stated, size, integrations, groups, filter)})
        model.meta.wcsinfo.s_region = footprint(stated, size)
        save(model, path)
    return path, ExposureTruth(
        name, cosmic_rays, tuple((int(y), int(x)) for y, x in np.argwhere(saturated))
    )


def _mistake(rng: Generator, pointing: Pointing) -> Pointing:
    east, north = rng.normal(0.0, POINTING_ERROR / 3600, 2)
    cosine = np.cos(np.radians(pointing.dec))
    return replace(pointing, ra=pointing.ra + east / cosine, dec=pointing.dec + north)


def _header(
    number: int, pointing: Pointing, size: int, integrations: int, groups: int, filter: str
) -> dict[str, Any]:
    ramp_time = groups * nircam.GROUP_TIME
    return exposure_header(
        OBSERVATION,
        number,
        pointing,
        instrument={
            "name": "NIRCAM",
            "detector": nircam.DETECTOR,
            "module": "B",
            "channel": "SHORT",
            "filter": filter,
            "pupil": nircam.PUPIL,
        },
        exposure={
            "type": "NRC_IMAGE",
            "readpatt": "RAPID",
            "nints": integrations,
            "ngroups": groups,
            "noutputs": 1,
            "frame_time": nircam.GROUP_TIME,
            "group_time": nircam.GROUP_TIME,
            "integration_time": ramp_time,
            "exposure_time": ramp_time * integrations,
            "zero_frame": False,
        },
        subarray=nircam.subarray(size),
        aperture="NRCB1_FULL",
        v2_ref=nircam.V2_REF,
        v3_ref=nircam.V3_REF,
    )


def _write_association(path: Path, names: list[str]) -> None:
    """Write the level-3 association of the calibrated exposures."""
    association = {
        "asn_type": "image3",
        "asn_rule": "candidate_Asn_Lv3Image",
        "asn_id": "o001",
        "asn_pool": "none",
        "program": PROGRAMME,
        "products": [
            {
                "name": PRODUCT,
                "members": [
                    {"expname": f"{name}_cal.fits", "exptype": "science"} for name in names
                ],
            }
        ],
    }
    path.write_text(json.dumps(association, indent=1) + "\n", encoding="utf-8")
