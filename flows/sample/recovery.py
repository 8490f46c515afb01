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
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from .truth import ExposureTruth

SAME_STAR = 0.1
"""Arcsec between a star and the catalogue's source that is taken for it, at most."""


@dataclass(frozen=True)
class Measure:
    """One number that tells how much of the truth was recovered.

    Attributes
    ----------
    value : float
    text : str
        Says it to a person, by ``text.format(value)``.
    least, most : float
        Tolerances; a value that is no number is outside.
    """

    value: float
    text: str
    least: float = -math.inf
    most: float = math.inf

    @property
    def ok(self) -> bool:
        """Tell whether the value is within its tolerances."""
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        return self.text.format(self.value)


@dataclass(frozen=True)
class Recovery:
    """What of the truth was recovered.

    Attributes
    ----------
    measures : dict of str to Measure
    """

    measures: dict[str, Measure]

    @property
    def problems(self) -> list[str]:
        """Say what is outside the tolerances; empty when the truth is recovered."""
        return [str(measure) for measure in self.measures.values() if not measure.ok]

    @property
    def ok(self) -> bool:
        """Tell whether everything is within its tolerance."""
        return not self.problems

    def __str__(self) -> str:
        return ", ".join(map(str, self.measures.values()))


def flagged(hits: Iterable[NDArray[np.bool_]], what: str) -> Measure:
    """Measure which fraction of cosmic rays or pixels bears its flag."""
    return Measure(float(np.concatenate([*hits]).mean()), f"{{:.1%}} of {what} flagged", 0.98)


def stars_found(
    offsets: NDArray[np.float64], ratios: NDArray[np.float64], *, offset: float, flux: float
) -> dict[str, Measure]:
    """Measure how many stars are in a catalogue, how far from their places, and how bright.

    Parameters
    ----------
    offsets : distances in mas, NaN for stars that are absent
    ratios : catalogue flux / true flux
    offset : tolerance of the median distance, mas
    flux : tolerance of the median flux, as a fraction of it
    """
    found = np.isfinite(offsets)
    return {
        "stars": Measure(float(found.mean()), "{:.1%} of the stars found", 0.95),
        "offset": Measure(
            _median(offsets[found]), "stars {:.2f} mas from their places", most=offset
        ),
        "flux_ratio": Measure(_median(ratios[found]), "flux ratio {:.3f}", 1 - flux, 1 + flux),
    }


def measure_recovery(products: Path, truth: Path) -> Recovery:
    """Compare the products of a program with its truth.

    Parameters
    ----------
    products : folder with the ``*_rate.fits`` of every exposure, and a ``*_cat.ecsv`` or several
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
    catalogues = sorted(products.glob("*_cat.ecsv"))
    if not catalogues:
        raise FileNotFoundError(f"no *_cat.ecsv in {products}")
    matched = [_match_stars(catalogue, known) for catalogue in catalogues]
    offsets, ratios = (np.concatenate(values) for values in zip(*matched, strict=True))
    found = ratios[np.isfinite(offsets)]
    scatter = 1.4826 * _median(np.abs(found - _median(found)))
    return Recovery(
        {
            "cosmic_rays": flagged(jumps, "cosmic rays"),
            "saturated": flagged(saturations, "saturated pixels"),
            # 1/15 of a pixel
            **stars_found(offsets, ratios, offset=2.0, flux=0.02),
            # From star to star: the faintest have a signal-to-noise ratio of about 15.
            "flux_scatter": Measure(scatter, "flux scatter {:.3f}", most=0.08),
        }
    )


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if values.size else math.nan


def measure_spectra(products: Path) -> dict[str, Measure]:
    """Compare the combined spectrum of the nods with its truth; nothing where there is none."""
    from .slit import NODS_PRODUCT

    spectrum = next(products.glob(f"{NODS_PRODUCT}_x1d.fits"), None)
    if spectrum is None:
        return {}
    ratio = measure_flux_ratio(spectrum)
    return {"spectrum": Measure(ratio, "spectrum ratio {:.3f}", 0.98, 1.02)}


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
