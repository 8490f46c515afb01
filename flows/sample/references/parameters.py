"""The parameter files of the miniature cache: what CRDS tells each step.

Each states only the parameters it is there for, so that what it leaves alone keeps the
default of the step's own code.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .reference import Reference

_JUMP = "jwst.jump.jump_step.JumpStep"
_DETECTOR1 = "jwst.pipeline.calwebb_detector1.Detector1Pipeline"
_TWEAKREG = "jwst.tweakreg.tweakreg_step.TweakRegStep"
_SOURCE_CATALOG = "jwst.source_catalog.source_catalog_step.SourceCatalogStep"

_PARAMETERS: list[tuple[int, str, str, dict[str, object]]] = [
    # edition, instrument, class, parameters
    (1, "nircam", _JUMP, {"rejection_threshold": 5.0}),
    (2, "nircam", _JUMP, {"rejection_threshold": 6.0}),
    (1, "nircam", _DETECTOR1, {"save_calibrated_ramp": False}),
    # The cut-out is only ten arcsec wide: stars stand closer than the defaults expect.
    # The first exposure is the one that points where its header says.
    (
        1,
        "nircam",
        _TWEAKREG,
        {
            "separation": 0.3,
            "tolerance": 0.15,
            "searchrad": 0.5,
            "kernel_fwhm": 2.3,
            "enforce_user_order": True,
        },
    ),
    (1, "nircam", _SOURCE_CATALOG, {"npixels": 10, "snr_threshold": 5.0, "kernel_fwhm": 2.3}),
]


def references() -> list[Reference]:
    """List them."""
    return [
        Reference(
            instrument,
            f"pars-{step.rpartition('.')[2].lower()}",
            partial(_parameter_file, step, parameters),
            edition=edition,
            extension="asdf",
        )
        for edition, instrument, step, parameters in _PARAMETERS
    ]


def _parameter_file(step: str, parameters: dict[str, object]) -> dict[str, Any]:
    """Lay out a parameter file as stpipe's schema ``step_config-1.0.0`` describes it."""
    return {"class": step, "name": step.rpartition(".")[2], "parameters": parameters}
