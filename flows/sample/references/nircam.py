"""Reference files for NIRCam imaging with NRCB1 and F200W: what the simulation put in, stated."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import nircam
from .reference import Reference, cut_out, plate

_DETECTOR = {"META.INSTRUMENT.DETECTOR": nircam.DETECTOR}
_FILTER = {
    **_DETECTOR,
    "META.INSTRUMENT.FILTER": f"{nircam.FILTER}|{nircam.OTHER_FILTER}",
    "META.INSTRUMENT.PUPIL": nircam.PUPIL,
}
_FILTERS = (nircam.FILTER, nircam.OTHER_FILTER)
_IMAGE = {"META.EXPOSURE.TYPE": "NRC_IMAGE"}

GAIN_CHANGE = 0.005
"""By which fraction the second context's gain is higher."""
FLAT_CHANGE = 0.002
"""By which fraction the second context's flat is steeper from left to right."""


def references(size: int, groups: int) -> list[Reference]:
    """List them for exposures of ``size`` x ``size`` pixels and at most ``groups`` groups."""
    return [
        Reference("nircam", "mask", partial(_mask, size), _DETECTOR),
        Reference("nircam", "saturation", partial(_saturation, size), _DETECTOR),
        Reference("nircam", "superbias", partial(_superbias, size), _DETECTOR),
        Reference("nircam", "ipc", _ipc, _DETECTOR),
        Reference("nircam", "linearity", partial(_linearity, size), _DETECTOR),
        Reference("nircam", "dark", partial(_dark, size, groups), _DETECTOR),
        Reference("nircam", "readnoise", partial(_readnoise, size), _DETECTOR),
        Reference("nircam", "gain", partial(_gain, size, 0.0), _DETECTOR),
        Reference("nircam", "gain", partial(_gain, size, GAIN_CHANGE), _DETECTOR, edition=2),
        Reference("nircam", "flat", partial(_flat, size, 0.0), _FILTER),
        Reference("nircam", "flat", partial(_flat, size, FLAT_CHANGE), _FILTER, edition=2),
        Reference("nircam", "distortion", partial(_distortion, size), _DETECTOR, extension="asdf"),
        Reference("nircam", "area", partial(_area, size), _FILTER),
        Reference("nircam", "photom", _photom, _DETECTOR | _IMAGE),
        Reference("nircam", "apcorr", _apcorr, _IMAGE),
        Reference("nircam", "abvegaoffset", _abvegaoffset, extension="asdf"),
    ]


def _mask(size: int) -> Any:
    from stdatamodels.jwst.datamodels import MaskModel
    from stdatamodels.jwst.datamodels.dqflags import pixel

    maps = nircam.detector_maps(size)
    dq = np.where(maps.reference, pixel["REFERENCE_PIXEL"], 0).astype(np.uint32)
    dq[maps.dead] = pixel["DEAD"] | pixel["DO_NOT_USE"]
    return cut_out(MaskModel(dq=dq), nircam.subarray(size))


def _saturation(size: int) -> Any:
    from stdatamodels.jwst.datamodels import SaturationModel

    return cut_out(SaturationModel(data=_even(size, nircam.SATURATION)), nircam.subarray(size))


def _superbias(size: int) -> Any:
    from stdatamodels.jwst.datamodels import SuperBiasModel

    bias = nircam.detector_maps(size).superbias
    return cut_out(SuperBiasModel(data=bias, err=_even(size, 0.1)), nircam.subarray(size))


def _ipc() -> Any:
    """State that no charge couples from one pixel to the next: the simulation has none."""
    from stdatamodels.jwst.datamodels import IPCModel

    return IPCModel(data=np.pad(np.ones((1, 1), np.float32), 1))


def _linearity(size: int) -> Any:
    from stdatamodels.jwst.datamodels import LinearityModel

    coefficients = np.stack([_even(size, c) for c in (0.0, 1.0, nircam.NONLINEARITY)])
    model = LinearityModel(coeffs=coefficients, dq=_all_good(size))
    return cut_out(model, nircam.subarray(size))


def _dark(size: int, groups: int) -> Any:
    from stdatamodels.jwst.datamodels import DarkModel

    times = nircam.GROUP_TIME * np.arange(1, groups + 1, dtype=np.float32)
    counts = times[:, None, None] * nircam.detector_maps(size).dark_rate
    model = DarkModel(data=counts, dq=_all_good(size))
    model.update({"meta": {"exposure": {"ngroups": groups, "nframes": 1, "groupgap": 0}}})
    return cut_out(model, nircam.subarray(size))


def _readnoise(size: int) -> Any:
    """State the noise of the difference of two reads (CDS), as the steps expect it, in DN."""
    from stdatamodels.jwst.datamodels import ReadnoiseModel

    cds = np.sqrt(2.0) * nircam.READ_NOISE
    return cut_out(ReadnoiseModel(data=_even(size, cds)), nircam.subarray(size))


def _gain(size: int, change: float) -> Any:
    from stdatamodels.jwst.datamodels import GainModel

    gain = nircam.GAIN * (1.0 + change)
    return cut_out(GainModel(data=_even(size, gain)), nircam.subarray(size))


def _flat(size: int, change: float) -> Any:
    from stdatamodels.jwst.datamodels import FlatModel
    from stdatamodels.jwst.datamodels.dqflags import pixel

    maps = nircam.detector_maps(size)
    steeper = 1.0 + change * np.linspace(-0.5, 0.5, size, dtype=np.float32)
    blind = maps.reference | maps.dead
    dq = np.where(blind, pixel["NO_FLAT_FIELD"] | pixel["DO_NOT_USE"], 0).astype(np.uint32)
    model = FlatModel(data=maps.flat * steeper, err=_even(size, 1e-3), dq=dq)
    return cut_out(model, nircam.subarray(size))


def _distortion(size: int) -> Any:
    centre = (size - 1) / 2
    model = plate(centre, centre, nircam.PIXEL_SCALE, nircam.V2_REF, nircam.V3_REF)
    model.update(
        {
            "meta": {
                "instrument": {"module": "B", "channel": "SHORT", "p_pupil": "CLEAR|"},
                "exposure": {"type": "NRC_IMAGE", "p_exptype": "NRC_IMAGE|"},
            }
        }
    )
    return model


def _area(size: int) -> Any:
    from stdatamodels.jwst.datamodels import PixelAreaModel

    model = PixelAreaModel(data=_even(size, 1.0))
    model.update(
        {
            "meta": {
                "photometry": {
                    "pixelarea_steradians": nircam.PIXEL_AREA,
                    "pixelarea_arcsecsq": nircam.PIXEL_SCALE**2,
                }
            }
        }
    )
    return model


def _photom() -> Any:
    from stdatamodels.jwst.datamodels import NrcImgPhotomModel

    dtype = [("filter", "S12"), ("pupil", "S12"), ("photmjsr", "f4"), ("uncertainty", "f4")]
    rows = [(name, nircam.PUPIL, nircam.PHOTMJSR, 0.01 * nircam.PHOTMJSR) for name in _FILTERS]
    model = NrcImgPhotomModel(phot_table=np.array(rows, dtype))
    model.update({"meta": {"photometry": {"pixelarea_steradians": nircam.PIXEL_AREA}}})
    return model


def _apcorr() -> Any:
    """State the radius within which a given share of a star's light falls, combined image."""
    from stdatamodels.jwst.datamodels import NrcImgApcorrModel

    dtype = [
        ("filter", "S12"),
        ("pupil", "S15"),
        ("eefraction", "f4"),
        ("radius", "f4"),
        ("apcorr", "f4"),
        ("skyin", "f4"),
        ("skyout", "f4"),
    ]
    rows = [
        (
            name,
            nircam.PUPIL,
            share,
            nircam.COMBINED_SIGMA * np.sqrt(-2.0 * np.log(1.0 - share)),
            1.0 / share,
            6.0,
            9.0,
        )
        for name in _FILTERS
        for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    ]
    return NrcImgApcorrModel(apcorr_table=np.array(rows, dtype))


def _abvegaoffset() -> Any:
    from astropy.table import Table
    from stdatamodels.jwst.datamodels import ABVegaOffsetModel

    model = ABVegaOffsetModel()
    model.abvega_offset = Table(
        {
            "filter": list(_FILTERS),
            "pupil": [nircam.PUPIL] * len(_FILTERS),
            "abvega_offset": [1.7] * len(_FILTERS),
        }
    )
    return model


def _even(size: int, value: float) -> Any:
    return np.full((size, size), value, np.float32)


def _all_good(size: int) -> Any:
    return np.zeros((size, size), np.uint32)
