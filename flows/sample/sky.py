"""The sky the program looks at, and where it falls on the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import nircam

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

FIELD_RA, FIELD_DEC = 53.1625, -27.7914
"""Degrees: what the program points at."""
ROLL = 25.0
"""Degrees: position angle of the telescope's V3 axis."""
SEPARATION = 14.0
"""Pixels between stars at least, so that apertures and sky rings do not overlap."""
FAINTEST, BRIGHTEST = 2e-6, 2e-5
"""Jansky, of stars that do not saturate."""
ONE_SATURATES_IN = 20
"""One star in so many is bright enough to saturate its central pixels part way up the ramp."""


@dataclass(frozen=True)
class Star:
    """A star: its position in degrees (ICRS) and its flux density in jansky."""

    ra: float
    dec: float
    flux: float


@dataclass(frozen=True)
class Pointing:
    """Where the centre of the detector points: degrees."""

    ra: float
    dec: float
    roll: float = ROLL


@dataclass(frozen=True)
class Plate:
    """How a detector lies in the focal plane: where its centre is, and its scale.

    Attributes
    ----------
    v2, v3 : arcsec
    scale : arcsec along one side of a pixel
    """

    v2: float
    v3: float
    scale: float


NIRCAM = Plate(nircam.V2_REF, nircam.V3_REF, nircam.PIXEL_SCALE)


def pixel_to_sky(
    pointing: Pointing,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    size: int,
    plate: Plate = NIRCAM,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn 0-based pixel coordinates into right ascension and declination, degrees."""
    centre = (size - 1) / 2
    v2 = np.radians((plate.v2 - plate.scale * (x - centre)) / 3600)
    v3 = np.radians((plate.v3 + plate.scale * (y - centre)) / 3600)
    telescope = np.array([np.cos(v3) * np.cos(v2), np.cos(v3) * np.sin(v2), np.sin(v3)])
    east, north, up = _attitude(pointing, plate) @ telescope
    return np.degrees(np.arctan2(north, east)) % 360, np.degrees(np.arcsin(up))


def footprint(pointing: Pointing, size: int) -> str:
    """Give the outline of the detector on the sky, as ``S_REGION`` has it."""
    x, y = np.array([[0, 0, 1, 1], [0, 1, 1, 0]]) * size - 0.5
    corners = np.stack(pixel_to_sky(pointing, x, y, size), axis=1).ravel()
    return " ".join(["POLYGON ICRS", *(f"{each:.9f}" for each in corners)])


def sky_to_pixel(
    pointing: Pointing,
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    size: int,
    plate: Plate = NIRCAM,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn right ascension and declination, degrees, into 0-based pixel coordinates."""
    a, d = np.radians(ra), np.radians(dec)
    sky = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    p, q, r = _attitude(pointing, plate).T @ sky
    v2, v3 = 3600 * np.degrees(np.arctan2(q, p)), 3600 * np.degrees(np.arcsin(r))
    centre = (size - 1) / 2
    return (
        centre - (v2 - plate.v2) / plate.scale,
        centre + (v3 - plate.v3) / plate.scale,
    )


def _attitude(pointing: Pointing, plate: Plate) -> NDArray[np.float64]:
    """Rotate the telescope's V1 V2 V3 axes to the sky.

    The angles are JWST's, and Roman's: V2_REF, V3_REF point at RA_REF, DEC_REF, and ROLL_REF is the
    position angle of V3 there (JWST-STScI-001550, "Description and use of the JWST SIAF").
    """
    from astropy.coordinates.matrix_utilities import rotation_matrix

    attitude: NDArray[np.float64] = (
        rotation_matrix(-pointing.ra, "z")
        @ rotation_matrix(pointing.dec, "y")
        @ rotation_matrix(pointing.roll, "x")
        @ rotation_matrix(-plate.v3 / 3600, "y")
        @ rotation_matrix(plate.v2 / 3600, "z")
    )
    return attitude


def dither(rng: Generator, count: int, size: int, plate: Plate = NIRCAM) -> list[Pointing]:
    """Point ``count`` times, the first time at the field's centre, then a few pixels beside it."""
    reach = dither_reach(size)
    shifts = rng.uniform(-reach, reach, (2, count))
    shifts[:, 0] = 0.0
    centre = Pointing(FIELD_RA, FIELD_DEC)
    middle = (size - 1) / 2
    ra, dec = pixel_to_sky(centre, middle + shifts[0], middle + shifts[1], size, plate)
    return [Pointing(float(a), float(d)) for a, d in zip(ra, dec, strict=True)]


def dither_reach(size: int) -> float:
    """Pixels between the first pointing and any other, at most, along each axis."""
    return size / 32


def scatter_stars(rng: Generator, count: int, size: int, ramp_time: float) -> list[Star]:
    """Scatter NIRCam's stars over the area that every dither sees; see `scatter_places`.

    Parameters
    ----------
    rng : random numbers
    count : how many stars
    size : pixels along one side of the detector
    ramp_time : seconds one integration lasts; the brightest stars saturate within it
    """
    ra, dec = scatter_places(rng, count, size)
    flux = np.geomspace(BRIGHTEST, FAINTEST, count)
    flux[::ONE_SATURATES_IN] = _saturating_flux(ramp_time)
    return [Star(float(a), float(d), float(f)) for a, d, f in zip(ra, dec, flux, strict=True)]


def scatter_places(
    rng: Generator, count: int, size: int, plate: Plate = NIRCAM
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find places apart from one another in the area that every dither sees.

    Parameters
    ----------
    rng : random numbers
    count : how many
    size : pixels along one side of the detector
    plate : of the detector

    Returns
    -------
    Right ascensions and declinations, degrees.

    Raises
    ------
    ValueError
        If so many stars do not fit at the least separation.
    """
    margin = dither_reach(size) + SEPARATION
    places: list[NDArray[np.float64]] = []
    for _ in range(1000 * count):
        place = rng.uniform(margin, size - 1 - margin, 2)
        if all(np.hypot(*(place - other)) >= SEPARATION for other in places):
            places.append(place)
        if len(places) == count:
            break
    if len(places) < count:
        raise ValueError(f"{count} stars do not fit into {size} x {size} pixels")
    x, y = np.array(places).reshape(-1, 2).T
    return pixel_to_sky(Pointing(FIELD_RA, FIELD_DEC), x, y, size, plate)


def _saturating_flux(ramp_time: float) -> float:
    """Flux density (Jy) that fills a star's central pixel after about 60 % of the ramp."""
    central_share = 0.16
    return (
        (nircam.FULL_WELL - nircam.BIAS)
        / (central_share * 0.6 * ramp_time)
        * nircam.JANSKY_PER_DN_S
    )
