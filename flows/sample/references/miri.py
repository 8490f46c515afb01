"""Reference files for MIRI's low-resolution spectrometer with its slit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import miri
from .reference import Reference, cut_out, plate

_DETECTOR = {"META.INSTRUMENT.DETECTOR": miri.DETECTOR}
_SLIT = {"META.EXPOSURE.TYPE": "MIR_LRS-FIXEDSLIT"}
_FILTER = {**_DETECTOR, "META.INSTRUMENT.FILTER": miri.FILTER}

EXTRACTION_WIDTH = 11
"""Pixels summed across the spectrum."""


def references() -> list[Reference]:
    """List them."""
    return [
        Reference("miri", "distortion", _distortion, _DETECTOR, extension="asdf"),
        Reference("miri", "specwcs", _specwcs, _SLIT),
        Reference("miri", "flat", _flat, _FILTER),
        Reference("miri", "photom", _photom, _DETECTOR | _SLIT),
        Reference("miri", "area", _area, _FILTER),
        Reference("miri", "extract1d", _extract1d, _SLIT, extension="json"),
        Reference("miri", "apcorr", _apcorr, _SLIT),
    ]


def _distortion() -> Any:
    return plate(miri.X_REF, miri.Y_REF, miri.PIXEL_SCALE, miri.V2_REF, miri.V3_REF)


def _specwcs() -> Any:
    """State on which row each wavelength falls, between which columns, and the slit's corners.

    Rows go from the shortest wavelength, at the top, downwards, as in the flight files.
    """
    from stdatamodels.jwst.datamodels import MiriLRSSpecwcsModel

    row = np.arange(miri.TOP, miri.BOTTOM - 1, -1.0)
    left, right = -miri.SLIT_HALF_LENGTH, miri.SLIT_HALF_LENGTH
    columns = {
        "x_center": miri.trace(row),
        "y_center": row,
        "wavelength": miri.wavelength(row),
        "x0": left,
        "y0": row + 0.5,
        "x1": right,
        "y1": row + 0.5,
        "x2": right,
        "y2": row - 0.5,
        "x3": left,
        "y3": row - 0.5,
    }
    table = np.zeros(row.size, [(name, "f8") for name in columns])
    for name, values in columns.items():
        table[name] = values
    along, across = miri.SLIT_HALF_LENGTH * miri.PIXEL_SCALE, 0.25
    return MiriLRSSpecwcsModel(
        wavetable=table,
        x_ref=miri.X_REF + 1,
        y_ref=miri.Y_REF + 1,
        x_ref_slitless=miri.X_REF + 1,
        y_ref_slitless=miri.Y_REF + 1,
        v2_vert1=miri.V2_REF + along,
        v2_vert2=miri.V2_REF + along,
        v2_vert3=miri.V2_REF - along,
        v2_vert4=miri.V2_REF - along,
        v3_vert1=miri.V3_REF - across,
        v3_vert2=miri.V3_REF + across,
        v3_vert3=miri.V3_REF + across,
        v3_vert4=miri.V3_REF - across,
    )


def _flat() -> Any:
    """State an even sensitivity: the simulation has no other."""
    from stdatamodels.jwst.datamodels import FlatModel

    model = FlatModel(
        data=np.ones(miri.SHAPE, np.float32),
        err=np.full(miri.SHAPE, 1e-3, np.float32),
        dq=np.zeros(miri.SHAPE, np.uint32),
    )
    return cut_out(model, miri.subarray())


def _photom() -> Any:
    from stdatamodels.jwst.datamodels import MirLrsPhotomModel

    wavelength = np.linspace(miri.SHORTEST, miri.LONGEST, 100)
    response = miri.relative_response(wavelength)
    dtype = [
        ("filter", "S12"),
        ("subarray", "S17"),
        ("photmjsr", "f4"),
        ("uncertainty", "f4"),
        ("nelem", "i2"),
        ("wavelength", "f4", wavelength.shape),
        ("relresponse", "f4", wavelength.shape),
        ("reluncertainty", "f4", wavelength.shape),
    ]
    row = (
        miri.FILTER,
        miri.SUBARRAY,
        miri.PHOTMJSR,
        0.01 * miri.PHOTMJSR,
        wavelength.size,
        wavelength,
        response,
        0.01 * response,
    )
    model = MirLrsPhotomModel(phot_table=np.array([row], dtype))
    model.update({"meta": {"photometry": {"pixelarea_steradians": miri.PIXEL_AREA}}})
    return model


def _area() -> Any:
    from stdatamodels.jwst.datamodels import PixelAreaModel

    model = PixelAreaModel(data=np.ones(miri.SHAPE, np.float32))
    photometry = {
        "pixelarea_steradians": miri.PIXEL_AREA,
        "pixelarea_arcsecsq": miri.PIXEL_SCALE**2,
    }
    model.update({"meta": {"photometry": photometry}})
    return model


def _extract1d() -> dict[str, Any]:
    return {
        "apertures": [
            {
                "id": "MIR_LRS-FIXEDSLIT",
                "region_type": "target",
                "dispaxis": 2,
                "extract_width": EXTRACTION_WIDTH,
                "use_source_posn": True,
            }
        ]
    }


def _apcorr() -> Any:
    """State by how much a sum over so many pixels falls short of all the star's light."""
    from stdatamodels.jwst.datamodels import MirLrsApcorrModel

    # The pixels widen the star when exposed (that much the simulation sums exactly) and
    # again when resampled, by the variance of a unit interval, 1/12 pixel².
    sigma = math.sqrt(miri.PSF_SIGMA**2 + 1 / 12)
    sizes = np.array([3, 5, 7, 9, 11, 13, 15])
    wavelength = np.array([miri.SHORTEST, miri.LONGEST])
    correction = [1.0 / math.erf(size / 2 / (math.sqrt(2) * sigma)) for size in sizes]
    shape = (wavelength.size, sizes.size)
    dtype = [
        ("subarray", "S17"),
        ("wavelength", "f4", wavelength.shape),
        ("nelem_wl", "i2"),
        ("size", "u1", sizes.shape),
        ("nelem_size", "i2"),
        ("apcorr", "f4", shape),
        ("apcorr_err", "f4", shape),
    ]
    row = (
        miri.SUBARRAY,
        wavelength,
        wavelength.size,
        sizes,
        sizes.size,
        np.broadcast_to(correction, shape),
        np.full(shape, 1e-3),
    )
    model = MirLrsApcorrModel(apcorr_table=np.array([row], dtype))
    model.sizeunit = "pixels"
    return model
