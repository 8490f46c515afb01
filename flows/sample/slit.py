"""One MIRI LRS exposure of a star in the slit, of known spectrum, ready for calwebb_spec2."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import miri
from .files import save
from .header import PROGRAMME, exposure_header, exposure_name
from .sky import FIELD_DEC, FIELD_RA, ROLL, Pointing

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

OBSERVATION = 2
NAME = exposure_name(OBSERVATION, 1, miri.DETECTOR)
DITHER = 0.66
"""Arcsec by which the star stands off the slit's centre, along the slit."""
NOISE = 0.5
"""DN/s in each pixel."""
EXPOSURE_TIME = 55.5
"""Seconds."""
_SEED = 14

NOD_OBSERVATION = 3
NODS = (DITHER, -DITHER)
NODS_PRODUCT = f"jw{PROGRAMME}-o003_t*_miri_p750l*"
"""Pattern of what their spectrum is called."""
NOD_SKY = 5.0
"""DN/s in each pixel: what one nod has to take away from the other."""


def flux_density(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux density of the star, jansky, at a wavelength in micron: the truth."""
    return 1e-3 * (wavelength / 10.0) ** -1.0


def make_slit_exposure(folder: Path) -> Path:
    """Simulate the exposure into a folder; always the same bytes.

    Returns
    -------
    The ``*_rate.fits``.
    """
    dither = {"x_offset": DITHER, "y_offset": 0.0}
    pointing = Pointing(FIELD_RA, FIELD_DEC)
    return _make(folder, OBSERVATION, 1, pointing, _count_rate(DITHER), dither)


def make_nods(folder: Path) -> tuple[Path, ...]:
    """Simulate exposures of the star at two places along the slit, before a bright sky.

    Each is the background of the other. Always the same bytes.

    Returns
    -------
    The ``*_rate.fits``.
    """
    made = []
    for number, along in enumerate(NODS, 1):
        dither = {
            "x_offset": along,
            "y_offset": 0.0,
            "position_number": number,
            "total_points": len(NODS),
        }
        rate = _count_rate(along) + NOD_SKY
        made.append(_make(folder, NOD_OBSERVATION, number, _pointing(along), rate, dither))
    return tuple(made)


def _pointing(along: float) -> Pointing:
    """Say where the slit's centre points when the star stands off it, along the slit: arcsec."""
    roll = math.radians(ROLL)
    east, north = along * math.cos(roll), -along * math.sin(roll)
    return Pointing(
        FIELD_RA + east / 3600 / math.cos(math.radians(FIELD_DEC)), FIELD_DEC + north / 3600
    )


def _make(
    folder: Path,
    observation: int,
    number: int,
    pointing: Pointing,
    rate: NDArray[np.float64],
    dither: dict[str, Any],
) -> Path:
    from stdatamodels.jwst.datamodels import ImageModel

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(_SEED if observation == OBSERVATION else (_SEED, number))
    noise = rng.normal(0.0, NOISE, miri.SHAPE)
    path = folder / f"{exposure_name(observation, number, miri.DETECTOR)}_rate.fits"
    with ImageModel(
        data=(rate + noise).astype(np.float32),
        err=np.full(miri.SHAPE, NOISE, np.float32),
        dq=np.zeros(miri.SHAPE, np.uint32),
        var_poisson=np.full(miri.SHAPE, NOISE**2 / 2, np.float32),
        var_rnoise=np.full(miri.SHAPE, NOISE**2 / 2, np.float32),
    ) as model:
        model.update({"meta": _header(observation, number, pointing) | {"dither": dither}})
        model.meta.dither.primary_type = "ALONG-SLIT-NOD"
        save(model, path)
    return path


def _count_rate(along: float) -> NDArray[np.float64]:
    """Lay the spectrum down on the detector: DN/s."""
    rows, columns = miri.SHAPE
    row = np.arange(float(rows)) - miri.Y_REF
    wavelength = miri.wavelength(row)
    lit = (wavelength >= miri.SHORTEST) & (wavelength <= miri.LONGEST)
    surface_brightness = flux_density(wavelength) / (1e6 * miri.PIXEL_AREA)
    counts = surface_brightness / (miri.PHOTMJSR * miri.relative_response(wavelength))
    centre = miri.X_REF + along / miri.PIXEL_SCALE + miri.trace(row)
    edges = np.arange(columns + 1) - 0.5 - centre[:, None]
    within = np.vectorize(math.erf)(edges / (math.sqrt(2) * miri.PSF_SIGMA)) / 2
    rate: NDArray[np.float64] = np.where(lit, counts, 0.0)[:, None] * np.diff(within, axis=1)
    return rate


def _header(observation: int, number: int, pointing: Pointing) -> dict[str, Any]:
    header = exposure_header(
        observation,
        number,
        pointing,
        instrument={"name": "MIRI", "detector": miri.DETECTOR, "filter": miri.FILTER},
        exposure={
            "type": "MIR_LRS-FIXEDSLIT",
            "readpatt": "FASTR1",
            "nints": 1,
            "ngroups": 20,
            "exposure_time": EXPOSURE_TIME,
        },
        subarray=miri.subarray(),
        aperture="MIRIM_SLIT",
        v2_ref=miri.V2_REF,
        v3_ref=miri.V3_REF,
    )
    header["wcsinfo"]["dispersion_direction"] = 2
    return header | {
        "bunit_data": "DN/s",
        "bunit_err": "DN/s",
    }
