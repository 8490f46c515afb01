"""Reference files for acquisition exposures of the two guiders, for calwebb_guider."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reference import Reference, cut_out

GUIDERS = ("GUIDER1", "GUIDER2")
CUT_OUT = {"name": "128X128", "xstart": 887, "ystart": 1022, "xsize": 128, "ysize": 128}
"""The part of either guider that is covered: where program 1019 acquired its guide star."""
GAIN = 1.66
"""Electrons per DN."""
READ_NOISE = 13.5
"""DN, of the difference of two reads."""


def references() -> list[Reference]:
    """List them."""
    makers = {"mask": _mask, "gain": _gain, "readnoise": _readnoise, "flat": _flat}
    return [
        Reference("fgs", reftype, make, {"META.INSTRUMENT.DETECTOR": guider})
        for reftype, make in makers.items()
        for guider in GUIDERS
    ]


def _mask() -> Any:
    """State that no pixel is known to be bad."""
    from stdatamodels.jwst.datamodels import MaskModel

    return cut_out(MaskModel(dq=_even(0, np.uint32)), CUT_OUT)


def _gain() -> Any:
    from stdatamodels.jwst.datamodels import GainModel

    return cut_out(GainModel(data=_even(GAIN)), CUT_OUT)


def _readnoise() -> Any:
    from stdatamodels.jwst.datamodels import ReadnoiseModel

    return cut_out(ReadnoiseModel(data=_even(READ_NOISE)), CUT_OUT)


def _flat() -> Any:
    """State an even sensitivity."""
    from stdatamodels.jwst.datamodels import FlatModel

    model = FlatModel(data=_even(1.0), err=_even(1e-3), dq=_even(0, np.uint32))
    return cut_out(model, CUT_OUT)


def _even(value: float, dtype: type = np.float32) -> Any:
    return np.full((CUT_OUT["ysize"], CUT_OUT["xsize"]), value, dtype)
