"""Measure whether the products of the sample give back what was put into it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flows.sample.recovery import match_places
from flows.sample.truth import ExposureTruth, Truth

from .exposures import MOSAIC

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LEAST_FLAGGED = 0.98
"""Of the cosmic rays."""
LEAST_FOUND = 0.95
"""Of the stars."""
LARGEST_OFFSET = 10.0
"""Mas, median over the stars: 1/11 of a pixel."""
LARGEST_FLUX_ERROR = 0.03
"""Of the flux, median over the stars."""


@dataclass(frozen=True)
class Recovery:
    """What of the truth was recovered.

    Attributes
    ----------
    cosmic_rays : fraction of the injected cosmic rays flagged `JUMP_DET`
    stars : fraction of the stars in the catalogue of the mosaic
    offset : median distance between a star and its catalogue position, mas
    flux_ratio : median of catalogue flux / true flux
    """

    cosmic_rays: float
    stars: float
    offset: float
    flux_ratio: float

    @property
    def problems(self) -> list[str]:
        """Say what is outside the tolerances; empty when the truth is recovered."""
        judgements = [
            (self.cosmic_rays >= LEAST_FLAGGED, f"{self.cosmic_rays:.1%} of cosmic rays flagged"),
            (self.stars >= LEAST_FOUND, f"{self.stars:.1%} of the stars found"),
            (self.offset <= LARGEST_OFFSET, f"stars {self.offset:.2f} mas from their places"),
            (abs(self.flux_ratio - 1) <= LARGEST_FLUX_ERROR, f"flux ratio {self.flux_ratio:.3f}"),
        ]
        return [problem for good, problem in judgements if not good]

    @property
    def ok(self) -> bool:
        """Tell whether everything is within its tolerance."""
        return not self.problems

    def __str__(self) -> str:
        return (
            f"{self.cosmic_rays:.0%} of cosmic rays flagged, {self.stars:.0%} of the stars found, "
            f"{self.offset:.2f} mas from their places, flux ratio {self.flux_ratio:.3f}"
        )


def measure_recovery(products: Path, truth: Path) -> Recovery:
    """Compare the products of the sample with its truth.

    Parameters
    ----------
    products : folder with the ``*_cal.asdf`` of every exposure and the mosaic's catalogue
    truth : see `flows.sample.truth`

    Raises
    ------
    FileNotFoundError
        If a product is absent.
    """
    from astropy.table import Table

    known = Truth.load(truth)
    flags = [_flags(products / f"{each.name}_cal.asdf", each) for each in known.exposures]
    sources = Table.read(products / f"{MOSAIC}_cat.parquet")
    nearest, offsets = match_places(known, sources["ra_centroid"], sources["dec_centroid"])
    found = np.isfinite(offsets)
    fluxes = np.array([star.flux for star in known.stars])
    ratios = np.asarray(sources["kron_flux"])[nearest] / 1e9 / fluxes  # from nanojansky
    return Recovery(
        cosmic_rays=float(np.concatenate(flags).mean()),
        stars=float(found.mean()),
        offset=float(np.median(offsets[found])) if found.any() else math.nan,
        flux_ratio=float(np.median(ratios[found])) if found.any() else math.nan,
    )


def _flags(product: Path, exposure: ExposureTruth) -> NDArray[np.bool_]:
    """Tell for each cosmic ray whether it is flagged."""
    import asdf
    from roman_datamodels.dqflags import pixel

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with product.open("rb") as stream, asdf.open(stream) as file:
        dq = file["roman"]["dq"]
        return np.array([bool(dq[hit.y, hit.x] & pixel.JUMP_DET) for hit in exposure.cosmic_rays])
