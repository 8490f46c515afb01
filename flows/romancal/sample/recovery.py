"""Measure whether the products of the sample give back what was put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flows.sample.recovery import Recovery, flagged, match_places, stars_found
from flows.sample.truth import ExposureTruth, Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


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
    of_exposures = {f"{each.name}_cat.parquet" for each in known.exposures}
    catalogues = (each for each in products.glob("*_cat.parquet") if each.name not in of_exposures)
    catalogue = next(catalogues, None)
    if catalogue is None:
        raise FileNotFoundError(f"no catalogue of a mosaic in {products}")
    sources = Table.read(catalogue)
    nearest, offsets = match_places(known, sources["ra_centroid"], sources["dec_centroid"])
    fluxes = np.array([star.flux for star in known.stars])
    ratios = np.asarray(sources["kron_flux"])[nearest] / 1e9 / fluxes  # from nanojansky
    # 1/11 of a pixel
    stars = stars_found(offsets, ratios, offset=10.0, flux=0.03)
    return Recovery({"cosmic_rays": flagged(flags, "cosmic rays"), **stars})


def _flags(product: Path, exposure: ExposureTruth) -> NDArray[np.bool_]:
    """Tell for each cosmic ray whether it is flagged."""
    import asdf
    from roman_datamodels.dqflags import pixel

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with product.open("rb") as stream, asdf.open(stream) as file:
        dq = file["roman"]["dq"]
        return np.array([bool(dq[hit.y, hit.x] & pixel.JUMP_DET) for hit in exposure.cosmic_rays])
