"""Simulate the raw ramps of one NIRCam exposure: light in, DN out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import nircam
from .sky import Pointing, Star, sky_to_pixel
from .truth import CosmicRay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

SKY_BRIGHTNESS = 0.5
"""MJy/sr of the zodiacal light."""
BIAS_DRIFT = 8.0
"""DN by which the whole detector's zero wanders from group to group."""
STAMP = 8
"""Pixels from a star's centre within which its light is laid down: all but 1e-15 of it."""
CLEAR = 4
"""Pixels around a cosmic ray without starlight or another cosmic ray."""


def count_rate(
    stars: Sequence[Star], pointing: Pointing, size: int, *, sky: float = SKY_BRIGHTNESS
) -> NDArray[np.float64]:
    """Compute the light that reaches each pixel.

    Parameters
    ----------
    stars : the field
    pointing : where the centre of the detector points
    size : pixels along one side
    sky : brightness of the background, MJy/sr

    Returns
    -------
    DN/s, shape (size, size), as a detector of even sensitivity would count it.
    """
    rate = np.full((size, size), sky / nircam.PHOTMJSR)
    xs, ys = sky_to_pixel(
        pointing, np.array([s.ra for s in stars]), np.array([s.dec for s in stars]), size
    )
    fluxes = [star.flux / nircam.JANSKY_PER_DN_S for star in stars]
    add_stars(rate, xs, ys, fluxes, nircam.PSF_SIGMA)
    return rate


def add_stars(
    image: NDArray[np.float64],
    xs: Iterable[float],
    ys: Iterable[float],
    fluxes: Iterable[float],
    sigma: float,
) -> None:
    """Add round Gaussian stars to an image.

    Parameters
    ----------
    image : square; the stars are added in place
    xs, ys : 0-based pixel coordinates of their centres
    fluxes : each is the sum over all pixels of a star
    sigma : of the Gaussian, pixels
    """
    size = len(image)
    for x, y, flux in zip(xs, ys, fluxes, strict=True):
        columns = np.arange(max(round(x) - STAMP, 0), min(round(x) + STAMP + 1, size))
        rows = np.arange(max(round(y) - STAMP, 0), min(round(y) + STAMP + 1, size))
        star = np.outer(_pixel_shares(rows, y, sigma), _pixel_shares(columns, x, sigma))
        image[np.ix_(rows, columns)] += flux * star


def _pixel_shares(pixels: NDArray[np.int_], centre: float, sigma: float) -> NDArray[np.float64]:
    """Integrate the stars' Gaussian profile over each of the pixels, along one axis."""
    edges = (np.append(pixels, pixels[-1] + 1) - 0.5 - centre) / (math.sqrt(2) * sigma)
    return np.diff([math.erf(edge) / 2 for edge in edges])


def scatter_cosmic_rays(
    rng: Generator, rate: NDArray[np.float64], integrations: int, groups: int
) -> tuple[CosmicRay, ...]:
    """Scatter cosmic rays over the parts of an exposure without stars, away from each other.

    Parameters
    ----------
    rng : random numbers
    rate : DN/s, shape (size, size): the light on the detector, see `count_rate`
    integrations, groups : how many there are; the first group of a ramp is never hit,
        because a jump shows only against a group before it

    Raises
    ------
    ValueError
        If there is no room for them.
    """
    size = rate.shape[0]
    count = max(5, size**2 // 5000)
    maps = nircam.detector_maps(size)
    free = (rate <= rate.min() * 1.01) & ~maps.reference & ~maps.dead
    hits: list[CosmicRay] = []
    for _ in range(1000 * count):
        if len(hits) == count:
            return tuple(hits)
        y, x = (int(i) for i in rng.integers(CLEAR, size - CLEAR, 2))
        around = free[y - CLEAR : y + CLEAR + 1, x - CLEAR : x + CLEAR + 1]
        if around.all():
            around[:] = False
            integration, group = int(rng.integers(integrations)), int(rng.integers(1, groups))
            electrons = round(float(rng.uniform(3000, 30000)), 1)
            hits.append(CosmicRay(integration, group, y, x, electrons))
    raise ValueError(f"{count} cosmic rays find no room beside the stars")


def expose(
    rng: Generator,
    rate: NDArray[np.float64],
    cosmic_rays: Sequence[CosmicRay],
    integrations: int,
    groups: int,
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Read the detector out while light and cosmic rays fall on it.

    Each effect is the inverse of one step of calwebb_detector1, in the opposite order:
    photon noise, dark current, cosmic rays, non-linearity, superbias, drift of the zero
    (which the reference pixels see too), read noise, full well.

    Parameters
    ----------
    rng : random numbers
    rate : DN/s, shape (size, size), see `count_rate`
    cosmic_rays : what hits when and where
    integrations, groups : how many to read

    Returns
    -------
    ramps : DN, shape (integrations, groups, size, size)
    saturated : shape (size, size), True where the full well was reached in any integration
    """
    size = rate.shape[0]
    maps = nircam.detector_maps(size)
    sensitive = ~maps.reference & ~maps.dead
    light = np.where(sensitive, rate * maps.flat + maps.dark_rate, 0.0)
    electrons_per_group = light * nircam.GAIN * nircam.GROUP_TIME
    ramps = np.empty((integrations, groups, size, size), np.uint16)
    saturated = np.zeros((size, size), bool)
    for integration in range(integrations):
        charge = np.zeros((size, size))
        for group in range(groups):
            charge += rng.poisson(electrons_per_group)
            for hit in cosmic_rays:
                if (hit.integration, hit.group) == (integration, group):
                    charge[hit.y, hit.x] += hit.electrons
            counts = maps.superbias + _bend(charge / nircam.GAIN)
            full = counts >= nircam.FULL_WELL
            saturated |= full
            counts[full] = nircam.FULL_WELL
            counts += rng.normal(0.0, BIAS_DRIFT)
            counts += nircam.READ_NOISE * rng.standard_normal((size, size), np.float32)
            ramps[integration, group] = np.rint(counts)
    return ramps, saturated


def _bend(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the linearity correction: solve ``linear = x + NONLINEARITY x²`` for x, in DN."""
    return (np.sqrt(1.0 + 4.0 * nircam.NONLINEARITY * linear) - 1.0) / (2.0 * nircam.NONLINEARITY)
