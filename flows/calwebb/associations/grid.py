"""One pixel grid for all mosaics of a target, from the footprints in the headers of exposures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stpipe_prefect.association import Association
from stpipe_prefect.exceptions import InputError, UsageError, input_error, reason
from stpipe_prefect.parameters.resolution import Layer, Source

from ..products import split_name
from .pool import NO_TARGET, OBSERVATION, header_text

PIPELINE = "calwebb_image3"
SOURCE = Source("shared grid")

MARGIN = 1.0
"""Arcsec around the footprints: for tweakreg, and what raw headers do not know of distortion."""

FARTHEST = 4.0
"""Degrees between exposures on one grid: a mosaic this wide would have terabytes."""

_POLYGON = re.compile(r"POLYGON\s+(?:ICRS|FK5)?\s*([-+.\deE\s]+)")
_OTHER_GRID = ("output_wcs", "output_shape", "crval", "crpix")


@dataclass(frozen=True)
class Footprint:
    """Where an exposure is on the sky.

    Attributes
    ----------
    path : pathlib.Path
        The exposure.
    field : tuple
        Its target, and the sense of its axes: what has another cannot be on the same grid.
    corners : numpy.ndarray
        Unit vectors, shape (corners, 3).
    scale : float
        Arcsec along one side of a pixel.
    """

    path: Path
    field: tuple[str, int]
    corners: np.ndarray[Any, np.dtype[np.float64]]
    scale: float


def shared_grids(
    associations: Iterable[Association],
    exposures: Sequence[Path],
    said: Callable[[str], Mapping[str, Any]],
) -> dict[str, Layer]:
    """Put all mosaics of a target on one grid; north is up, unless the user says otherwise.

    Only the outermost corners of all members count: an exposure within them changes nothing.

    Parameters
    ----------
    associations : iterable of Association
    exposures : sequence of pathlib.Path
        What the members are made of.
    said : callable
        Gives the parameters that the user gives a pipeline. Of resample, ``rotation`` and
        ``pixel_scale`` or ``pixel_scale_ratio`` are those of the grid.

    Returns
    -------
    dict of str to Layer
        Parameters, by the file name of each association of calwebb_image3.

    Raises
    ------
    InputError
        An exposure does not say where it is, its target moves, or it is far from others.
    UsageError
        The user gives another grid.
    """
    mosaics = [each for each in associations if each.kind == "image3"]
    if not mosaics:
        return {}
    resample = said(PIPELINE).get("steps", {}).get("resample", {})
    if others := [name for name in _OTHER_GRID if resample.get(name)]:
        raise UsageError(f"--grid shared: steps.resample.{others[0]} is given, too: leave one out")
    paths = {split_name(path.name)[0]: path for path in exposures}
    fields: dict[tuple[str, int], list[Footprint]] = defaultdict(list)
    names: dict[tuple[str, int], list[str]] = defaultdict(list)
    for association in mosaics:
        assert association.path is not None
        roots = (split_name(member)[0] for member in association.science)
        members = [read_footprint(paths[root]) for root in roots]
        fields[members[0].field] += members
        names[members[0].field].append(association.path.name)
    layers: dict[str, Layer] = {}
    for field, footprints in fields.items():
        _check_extent(footprints)
        ratio = float(resample.get("pixel_scale_ratio") or 1.0)
        finest = ratio * min(each.scale for each in footprints)
        grid = grid_of(
            np.concatenate([each.corners for each in footprints]),
            float(resample.get("pixel_scale") or round(finest, 3)),
            float(resample.get("rotation") or 0.0),
            parity=field[1],
        )
        layer = Layer(SOURCE, {"steps": {"resample": grid}})
        layers |= dict.fromkeys(names[field], layer)
    return layers


def grid_of(
    corners: np.ndarray[Any, np.dtype[np.float64]],
    pixel_scale: float,
    rotation: float,
    *,
    parity: int = -1,
) -> dict[str, Any]:
    """Give the parameters of resample for the smallest grid that holds all corners.

    Parameters
    ----------
    corners : numpy.ndarray
        Unit vectors, shape (corners, 3).
    pixel_scale : float
        Arcsec.
    rotation : float
        Position angle of the y axis, degrees.
    parity : int
        ``VPARITY``: -1 where x is to the right when y is up and east to the left.
    """
    x, y, z = (corners.max(axis=0) + corners.min(axis=0)) / 2
    ra = round(float(np.degrees(np.arctan2(y, x))) % 360, 7)
    dec = round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), 7)
    east, north = _on_tangent_plane(corners, ra, dec)
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    places = np.stack([parity * (east * cosine - north * sine), east * sine + north * cosine])
    lower = np.floor((places.min(axis=1) - MARGIN) / pixel_scale).astype(int)
    upper = np.ceil((places.max(axis=1) + MARGIN) / pixel_scale).astype(int)
    return {
        "crval": [ra, dec],
        "crpix": [float(-each) for each in lower],
        "output_shape": [int(each) for each in upper - lower + 1],
        "pixel_scale": pixel_scale,
        "rotation": rotation,
    }


def read_footprint(path: Path) -> Footprint:
    """Read where an exposure is from its headers, ``S_REGION`` above all.

    Raises
    ------
    InputError
        They do not say it, or the target moves.
    """
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            primary, science = hdus[0].header, hdus["SCI"].header
    except Exception as error:  # whatever astropy makes of a damaged file
        raise input_error(f"{path}: not a readable exposure: {reason(error)}", error) from error
    if primary.get("TARGTYPE") == "MOVING":
        raise InputError(f"{path}: --grid shared: its target moves; leave --grid out")
    corners = _polygon(str(science.get("S_REGION", "")))
    if corners is None:
        raise InputError(
            f"{path}: no polygon in S_REGION of its SCI header, which --grid shared needs; leave "
            "--grid out, or give steps.resample.output_wcs"
        )
    ra, dec = np.radians(corners).T
    corners = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    east, north = _on_tangent_plane(corners, np.degrees(ra[0]), np.degrees(dec[0]))
    area = abs(np.sum(east * np.roll(north, -1) - north * np.roll(east, -1))) / 2
    scale = float(np.sqrt(area / (science["NAXIS1"] * science["NAXIS2"])))
    names = (header_text(primary.get(keyword)) for keyword in ("TARGPROP", "TARGNAME"))
    observation = f"{primary.get('PROGRAM')} {primary.get(OBSERVATION)}"
    target = next((name for name in names if name not in NO_TARGET), observation)
    return Footprint(path, (target, int(science.get("VPARITY", -1))), corners, scale)


def _polygon(region: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Read the corners of a polygon, degrees, shape (corners, 2); None where it has none."""
    found = _POLYGON.search(region)
    try:
        corners = np.array(found[1].split() if found else [], float).reshape(-1, 2)
    except ValueError:
        return None
    return corners if len(corners) > 2 else None


def _check_extent(footprints: Sequence[Footprint]) -> None:
    """Refuse what can only be different places under the same name of a target."""
    first = footprints[0]
    near = np.cos(np.radians(FARTHEST))
    for each in footprints:
        if (each.corners @ first.corners[0]).min() < near:
            raise InputError(
                f"{each.path}: --grid shared: is more than {FARTHEST:g} degrees from {first.path} "
                "of the same target, too far for one grid; associate them in two runs, or leave "
                "--grid out"
            )


def _on_tangent_plane(
    vectors: np.ndarray[Any, np.dtype[np.float64]], ra: float, dec: float
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Project unit vectors gnomonically; gives arcsec to the east and north of a place."""
    a, d = np.radians(ra), np.radians(dec)
    axes = np.array(
        [
            [-np.sin(a), np.cos(a), 0.0],
            [-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)],
            [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)],
        ]
    )
    east, north, ahead = axes @ vectors.T
    return np.degrees(east / ahead) * 3600, np.degrees(north / ahead) * 3600
