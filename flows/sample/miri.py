"""The simulated spectrograph: MIRI's low-resolution spectrometer behind its slit.

As in `flows.sample.nircam`, the exposure is simulated with these figures and the reference
files state the same ones. The slit is moved into the corner of the detector, so that a
small cut-out from pixel (1, 1) holds the spectrum in full-frame coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DETECTOR = "MIRIMAGE"
FILTER = "P750L"
SUBARRAY = "GENERIC"
SHAPE = (400, 80)
"""Rows and columns of the cut-out; wavelengths run along the columns."""

PIXEL_SCALE = 0.11
"""Arcsec along one side of a pixel."""
PIXEL_AREA = (PIXEL_SCALE / 206264.80624709636) ** 2
"""Steradian."""
V2_REF, V3_REF = -414.3, -400.7
"""Where the centre of the slit lies in the telescope's focal plane, arcsec."""
X_REF, Y_REF = 40.0, 300.0
"""Where the centre of the slit falls on the detector, 0-based pixels."""
SLIT_HALF_LENGTH = 22.0
"""Pixels."""

SHORTEST, LONGEST = 5.0, 14.0
"""Micron."""
TOP, BOTTOM = 80.0, -280.0
"""Rows, counted from `Y_REF`, on which the shortest and the longest wavelength fall."""
TILT = 0.004
"""Columns by which the spectrum leans to the right, a row."""

PHOTMJSR = 30.0
"""MJy/sr that give 1 DN/s where `relative_response` is 1."""
PSF_SIGMA = 1.4
"""Pixels; the star's image across the spectrum is a Gaussian."""


def wavelength(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wavelength, micron, that falls on a row counted from `Y_REF`."""
    return SHORTEST + (LONGEST - SHORTEST) * (TOP - row) / (TOP - BOTTOM)


def trace(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Column, counted from `X_REF`, of a centred star on a row counted from `Y_REF`."""
    return TILT * row


def relative_response(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor on `PHOTMJSR` at a wavelength, micron: the detector tires towards the red."""
    return 1.0 + 0.1 * (wavelength - SHORTEST)


def subarray() -> dict[str, object]:
    """Describe the cut-out as data models and reference files do in ``meta.subarray``."""
    rows, columns = SHAPE
    return {
        "name": SUBARRAY,
        "xstart": 1,
        "ystart": 1,
        "xsize": columns,
        "ysize": rows,
        "fastaxis": 1,
        "slowaxis": 2,
    }
