"""Positions on the sky: how far WCS objects and catalogues are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MATCH = 0.5
"""Arcseconds: sources further apart than this are not the same."""

_GRID = 5
"""In how many pixels of each axis WCS objects are compared, from edge to edge."""


@dataclass(frozen=True)
class Offset:
    """How far apart two WCS objects put the same pixels.

    Attributes
    ----------
    largest, median : float or None
        On the sky, in arcseconds; None if they do not lead to the sky.
    wavelength : float or None
        The largest difference of wavelengths, in the unit of the WCS.
    """

    largest: float | None = None
    median: float | None = None
    wavelength: float | None = None


@dataclass(frozen=True)
class Sources:
    """How the sources of two catalogues match.

    Attributes
    ----------
    in_a, in_b, matched : int
        A pair is matched if each is the nearest of the other, at most 0.5 arcsec away.
    largest, median : float or None
        Their distances, in arcseconds.
    flux : str
        The column whose ratio is given; empty if there is none.
    flux_ratio : float or None
        The median of B / A.
    """

    in_a: int
    in_b: int
    matched: int
    largest: float | None = None
    median: float | None = None
    flux: str = ""
    flux_ratio: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether each source has its counterpart."""
        return self.in_a == self.in_b == self.matched


def offset_of(a: Any, b: Any) -> Offset:
    """Compare where two WCS objects put pixels of a grid over what A is for."""
    import numpy as np

    bounds = a.pixel_bounds
    if bounds is None and a.pixel_shape is not None:
        bounds = [(0, length - 1) for length in a.pixel_shape]
    if bounds is None:
        return Offset()
    axes = (np.linspace(low, high, _GRID) for low, high in bounds)
    grid = [axis.ravel() for axis in np.meshgrid(*axes)]
    kinds = list(a.world_axis_physical_types)
    if kinds != list(b.world_axis_physical_types):
        return Offset()
    in_a, in_b = (np.atleast_2d(wcs.pixel_to_world_values(*grid)) for wcs in (a, b))
    apart, wavelength = np.array([]), None
    if {"pos.eq.ra", "pos.eq.dec"} <= set(kinds):
        ra, dec = kinds.index("pos.eq.ra"), kinds.index("pos.eq.dec")
        apart = _distances(in_a[[ra, dec]], in_b[[ra, dec]])
        apart = apart[np.isfinite(apart)]
    for number, kind in enumerate(kinds):
        if kind and kind.startswith("em."):
            delta = np.abs(in_b[number] - in_a[number])
            wavelength = float(np.nanmax(delta)) if np.isfinite(delta).any() else None
    if not apart.size:
        return Offset(wavelength=wavelength)
    return Offset(float(apart.max()), float(np.median(apart)), wavelength)


def match_sources(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Any, Any, Sources] | None:
    """Match two catalogues: the rows of either that are pairs, and a summary.

    None if they have no columns with positions.
    """
    import numpy as np

    names = _position(a)
    if not names or not set(names) <= b.keys():
        return None
    in_a, in_b = (np.array([table[name] for name in names], float) for table in (a, b))
    rows_a, rows_b = _pairs(in_a, in_b)
    if not rows_a.size:
        return rows_a, rows_b, Sources(in_a.shape[1], in_b.shape[1], 0)
    apart = _distances(in_a[:, rows_a], in_b[:, rows_b])
    apart = apart[np.isfinite(apart)]
    flux = next((name for name in a if _is_flux(name) and name in b), "")
    summary = Sources(
        in_a.shape[1],
        in_b.shape[1],
        rows_a.size,
        float(apart.max()) if apart.size else None,
        float(np.median(apart)) if apart.size else None,
        flux,
        _ratio(a[flux][rows_a], b[flux][rows_b]) if flux else None,
    )
    return rows_a, rows_b, summary


def _pairs(a: Any, b: Any) -> tuple[Any, Any]:
    """Pair positions: those of the same list one by one, else each with its nearest."""
    import numpy as np
    from astropy.coordinates import SkyCoord

    if np.array_equal(a, b, equal_nan=True):
        return np.arange(a.shape[1]), np.arange(a.shape[1])
    rows_a, rows_b = (np.flatnonzero(np.isfinite(position).all(axis=0)) for position in (a, b))
    if not rows_a.size or not rows_b.size:
        return rows_a[:0], rows_b[:0]
    one, other = SkyCoord(*a[:, rows_a], unit="deg"), SkyCoord(*b[:, rows_b], unit="deg")
    nearest, distance, _ = one.match_to_catalog_sky(other)
    back, _, _ = other.match_to_catalog_sky(one)
    pairs = (back[nearest] == np.arange(len(one))) & (distance.arcsec <= MATCH)
    return rows_a[pairs], rows_b[nearest[pairs]]


def _is_flux(name: str) -> bool:
    """Tell it of the flux of a source; the background around it has columns of its own."""
    return name.endswith("flux") and "bkg" not in name


def _ratio(a: Any, b: Any) -> float | None:
    """Give the median of B / A."""
    import numpy as np

    usable = np.isfinite(a) & np.isfinite(b) & (a != 0)
    return float(np.median(b[usable] / a[usable])) if usable.any() else None


def _position(columns: Mapping[str, Any]) -> tuple[str, str] | None:
    """Find the first two columns with a right ascension and a declination."""
    for name in columns:
        parts = name.replace(".", "_").split("_")
        if "ra" in parts:
            start = sum(len(part) + 1 for part in parts[: parts.index("ra")])
            other = f"{name[:start]}dec{name[start + 2 :]}"
            if other in columns:
                return name, other
    return None


def _distances(a: Any, b: Any) -> Any:
    """Give the distances in arcseconds of positions: right ascensions and declinations, degrees."""
    import numpy as np
    from astropy.coordinates import angular_separation

    return np.degrees(angular_separation(*map(np.radians, (*a, *b)))) * 3600
