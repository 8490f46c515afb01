"""The simulated detector: a corner of NIRCam's NRCB1 behind the F200W filter.

The exposures are simulated with these figures and maps, and the reference files state
the same ones, so that calibrating an exposure gives back what was put on the sky.
The figures are of the order of the flight detector's; the maps are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DETECTOR = "NRCB1"
FILTER = "F200W"
OTHER_FILTER = "F150W"
"""Lets the same light through, to the same image: no more than another name."""
PUPIL = "CLEAR"
SUBARRAY = "GENERIC"

PIXEL_SCALE = 0.031
"""Arcsec along one side of a pixel."""
PIXEL_AREA = (PIXEL_SCALE / 206264.80624709636) ** 2
"""Steradian."""
V2_REF, V3_REF = -120.97, -457.75
"""Where the centre of the cut-out lies in the telescope's focal plane, arcsec."""
GROUP_TIME = 10.73677
"""Seconds from one group to the next (RAPID: one frame a group)."""

GAIN = 2.05
"""Electrons per DN."""
READ_NOISE = 5.0
"""DN, of one single read."""
BIAS = 12000.0
"""DN, the mean of the superbias."""
DARK_RATE = 0.02
"""DN/s, the mean of the dark current."""
NONLINEARITY = 1.0e-6
"""Linear signal = x + NONLINEARITY x², for a signal of x DN above the bias."""
FULL_WELL = 58000.0
"""DN above zero at which a pixel stops counting."""
SATURATION = 57000.0
"""DN above zero from which a pixel counts as saturated: more than the noise below the full well."""

PHOTMJSR = 2.0
"""MJy/sr that give 1 DN/s."""
JANSKY_PER_DN_S = PHOTMJSR * 1e6 * PIXEL_AREA
"""Flux density of a star whose whole image gives 1 DN/s."""

PSF_SIGMA = 0.9
"""Pixels; the stars are round Gaussians."""
COMBINED_SIGMA = 1.094
"""Pixels; the same in the combined image, as measured there: every pixel grid they pass
(exposed, resampled, measured) widens them."""
REFERENCE_PIXELS = 4
"""Rows at the bottom and columns at the left that see no light."""

_MAPS_SEED = 20220712


@dataclass(frozen=True)
class DetectorMaps:
    """What differs from pixel to pixel; each array has the shape (size, size).

    Attributes
    ----------
    flat : relative sensitivity, mean 1
    superbias : DN
    dark_rate : DN/s
    reference : True for reference pixels, which see no light
    dead : True for pixels that count nothing
    """

    flat: NDArray[np.float32]
    superbias: NDArray[np.float32]
    dark_rate: NDArray[np.float32]
    reference: NDArray[np.bool_]
    dead: NDArray[np.bool_]


@cache
def detector_maps(size: int) -> DetectorMaps:
    """Make the maps of the lower left ``size`` x ``size`` pixels; always the same ones."""
    rng = np.random.default_rng(_MAPS_SEED)
    shape = (size, size)
    y, x = np.mgrid[:size, :size] / size
    reference = np.zeros(shape, bool)
    reference[:REFERENCE_PIXELS, :] = True
    reference[:, :REFERENCE_PIXELS] = True
    vignetting = 1.0 + 0.05 * np.cos(np.pi * (x - 0.5)) * np.cos(np.pi * (y - 0.5))
    flat = vignetting / vignetting.mean() + 0.01 * rng.standard_normal(shape)
    superbias = BIAS + 200.0 * y + 30.0 * rng.standard_normal(shape)
    dark_rate = DARK_RATE * rng.gamma(8.0, 1.0 / 8.0, shape)
    dead = (rng.random(shape) < 5e-4) & ~reference
    return DetectorMaps(
        flat=np.where(reference, 1.0, flat).astype(np.float32),
        superbias=superbias.astype(np.float32),
        dark_rate=np.where(reference, 0.0, dark_rate).astype(np.float32),
        reference=reference,
        dead=dead,
    )


def subarray(size: int) -> dict[str, object]:
    """Describe the cut-out as data models and reference files do in ``meta.subarray``."""
    return {
        "name": SUBARRAY,
        "xstart": 1,
        "ystart": 1,
        "xsize": size,
        "ysize": size,
        "fastaxis": 1,
        "slowaxis": -2,
    }
