"""Measure whether the products of a program give back what was put into it.

Cosmic rays and saturated pixels are looked for in the DQ arrays of the ``*_rate.fits``,
which calwebb_detector1 always keeps: there a pixel bears `JUMP_DET` or `SATURATED` as soon
as one of its groups did. Stars are looked for in the combined catalogue, ``*_cat.ecsv``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from .truth import ExposureTruth

SAME_STAR = 0.1
"""Arcsec between a star and the catalogue's source that is taken for it, at most."""

LEAST_FLAGGED = 0.98
"""Of the cosmic rays, and of the saturated pixels."""
LEAST_FOUND = 0.95
"""Of the stars."""
LARGEST_OFFSET = 2.0
"""Mas, median over the stars: 1/15 of a pixel."""
LARGEST_FLUX_ERROR = 0.02
"""Of the flux, median over the stars."""
LARGEST_FLUX_SCATTER = 0.08
"""Of the flux, from star to star: the faintest have a signal-to-noise ratio of about 15."""


@dataclass(frozen=True)
class Recovery:
    """What of the truth was recovered.

    Attributes
    ----------
    cosmic_rays : fraction of the injected cosmic rays flagged `JUMP_DET`
    saturated : fraction of the saturated pixels flagged `SATURATED`
    stars : fraction of the stars in the catalogue
    offset : median distance between a star and its catalogue position, mas
    flux_ratio : median of catalogue flux / true flux
    flux_scatter : standard deviation of that ratio, from the median absolute deviation
    """

    cosmic_rays: float
    saturated: float
    stars: float
    offset: float
    flux_ratio: float
    flux_scatter: float

    @property
    def problems(self) -> list[str]:
        """Say what is outside the tolerances; empty when the truth is recovered."""
        judgements = [
            (self.cosmic_rays >= LEAST_FLAGGED, f"{self.cosmic_rays:.1%} of cosmic rays flagged"),
            (self.saturated >= LEAST_FLAGGED, f"{self.saturated:.1%} of saturated pixels flagged"),
            (self.stars >= LEAST_FOUND, f"{self.stars:.1%} of the stars found"),
            (self.offset <= LARGEST_OFFSET, f"stars {self.offset:.2f} mas from their places"),
            (abs(self.flux_ratio - 1) <= LARGEST_FLUX_ERROR, f"flux ratio {self.flux_ratio:.3f}"),
            (self.flux_scatter <= LARGEST_FLUX_SCATTER, f"flux scatter {self.flux_scatter:.3f}"),
        ]
        return [problem for good, problem in judgements if not good]

    @property
    def ok(self) -> bool:
        """Tell whether everything is within its tolerance."""
        return not self.problems

    def __str__(self) -> str:
        return (
            f"{self.cosmic_rays:.0%} of cosmic rays and {self.saturated:.0%} of saturated pixels "
            f"flagged, {self.stars:.0%} of the stars found, {self.offset:.2f} mas from their "
            f"places, flux ratio {self.flux_ratio:.3f} ± {self.flux_scatter:.3f}"
        )


def measure_recovery(products: Path, truth: Path) -> Recovery:
    """Compare the products of a program with its truth.

    Parameters
    ----------
    products : folder with the ``*_rate.fits`` of every exposure and one ``*_cat.ecsv``
    truth : the program's truth file

    Raises
    ------
    FileNotFoundError
        If a product is absent.
    """
    known = Truth.load(truth)
    jumps, saturations = [], []
    for exposure in known.exposures:
        jump, saturated = _flags(products / f"{exposure.name}_rate.fits", exposure)
        jumps.append(jump)
        saturations.append(saturated)
    catalogue = next(products.glob("*_cat.ecsv"), None)
    if catalogue is None:
        raise FileNotFoundError(f"no *_cat.ecsv in {products}")
    offsets, ratios = _match_stars(catalogue, known)
    found = np.isfinite(offsets)
    flux_ratio = _median(ratios[found])
    return Recovery(
        cosmic_rays=float(np.concatenate(jumps).mean()),
        saturated=float(np.concatenate(saturations).mean()),
        stars=float(found.mean()),
        offset=_median(offsets[found]),
        flux_ratio=flux_ratio,
        flux_scatter=1.4826 * _median(np.abs(ratios[found] - flux_ratio)),
    )


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if values.size else math.nan


def measure_flux_ratio(spectrum: Path) -> float:
    """Compare the spectrum of the star in the slit with its truth.

    Parameters
    ----------
    spectrum : the ``*_x1d.fits`` of calwebb_spec2

    Returns
    -------
    Median over the wavelengths of flux / true flux.
    """
    from astropy.io import fits

    from .slit import flux_density

    table = fits.getdata(spectrum, "EXTRACT1D")
    return float(np.nanmedian(table["FLUX"] / flux_density(table["WAVELENGTH"])))


def _flags(rate: Path, exposure: ExposureTruth) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell for each cosmic ray, and each saturated pixel, whether it is flagged."""
    from astropy.io import fits
    from stdatamodels.jwst.datamodels.dqflags import pixel

    dq = fits.getdata(rate, "DQ")
    hits = np.array([(hit.y, hit.x) for hit in exposure.cosmic_rays], int).reshape(-1, 2)
    full = np.array(exposure.saturated, int).reshape(-1, 2)
    return (
        dq[tuple(hits.T)] & pixel["JUMP_DET"] > 0,
        dq[tuple(full.T)] & pixel["SATURATED"] > 0,
    )


def _match_stars(catalogue: Path, truth: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find each star's distance to its source (mas) and the ratio of fluxes; NaN if absent."""
    from astropy.table import Table

    sources = Table.read(catalogue, format="ascii.ecsv")
    centroids = sources["sky_centroid"]
    nearest, offset = match_places(truth, centroids.ra.deg, centroids.dec.deg)
    ratio = sources["aper_total_flux"].value[nearest] / [s.flux for s in truth.stars]
    return offset, np.where(np.isnan(offset), np.nan, ratio)


def match_places(
    truth: Truth, ra: ArrayLike, dec: ArrayLike
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Find for each star the source that is nearest, and how far away that is.

    Parameters
    ----------
    truth : Truth
    ra, dec : of the sources of a catalogue, degrees

    Returns
    -------
    Index of the source, and distance in mas: NaN if it is another star's.
    """
    from astropy.coordinates import SkyCoord

    places = SkyCoord([s.ra for s in truth.stars], [s.dec for s in truth.stars], unit="deg")
    sources = SkyCoord(np.asarray(ra), np.asarray(dec), unit="deg")
    nearest, distance, _ = places.match_to_catalog_sky(sources)
    offset = distance.to_value("mas")
    return nearest, np.where(offset > 1000 * SAME_STAR, np.nan, offset)
