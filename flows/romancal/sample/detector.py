"""The simulated detector: a small one of the Wide Field Instrument behind the F158 filter.

The exposures are simulated with these figures, and the reference files state the same ones. The
figures are of the order of those of the flight detectors.
"""

from __future__ import annotations

from flows.sample.sky import Plate

DETECTOR = "WFI01"
FILTER = "F158"
BORDER = 4
"""Rows and columns on each side that see no light, and are cut off by ramp_fit."""
SIZE = 192
"""Pixels along one side of what sees light."""

PLATE = Plate(v2=1312.95, v3=-1040.79, scale=0.11)
PIXEL_AREA = (PLATE.scale / 206264.80624709636) ** 2
"""Steradian."""

READS = 8
FRAME_TIME = 3.16
"""Seconds from one read to the next; each is a resultant."""

GAIN = 2.0
"""Electrons per DN."""
READ_NOISE = 5.0
"""DN, of one single read."""
BIAS = 1000.0
"""DN of every read."""
DARK_RATE = 0.01
"""DN/s."""
FLATS = (1.0, 1.02)
"""Sensitivity as the flat of each context states it; that of the first is true."""
SATURATION = 60000.0
"""DN from which a pixel counts as saturated."""

PHOTMJSR = 0.7
"""MJy/sr that give 1 DN/s."""
JANSKY_PER_DN_S = PHOTMJSR * 1e6 * PIXEL_AREA
"""Flux density of a star whose whole image gives 1 DN/s."""
PSF_SIGMA = 1.0
"""Pixels; the stars are round Gaussians."""
