"""The parameter files of the miniature cache: what CRDS tells each step.

Each states only the parameters it is there for, so that what it leaves alone keeps the
default of the step's own code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .reference import Reference


@dataclass(frozen=True)
class ParameterFile:
    """What one parameter file says.

    Attributes
    ----------
    step : path of the Step or Pipeline class
    parameters : of the step itself
    substeps : parameters of a pipeline's steps, by the step's name and class path
    edition : number of the first context that delivers it
    """

    step: str
    parameters: dict[str, object] = field(default_factory=dict)
    substeps: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    edition: int = 1

    @property
    def reftype(self) -> str:
        """The type under which the step asks CRDS for it."""
        return f"pars-{_class_name(self.step).lower()}"

    def tree(self) -> dict[str, Any]:
        """Lay it out as stpipe's schema ``step_config-1.0.0`` describes it."""
        return {
            "class": self.step,
            "name": _class_name(self.step),
            "parameters": self.parameters,
            "steps": [
                {"class": step, "name": name, "parameters": parameters}
                for (name, step), parameters in self.substeps.items()
            ],
        }


_JUMP = "jwst.jump.jump_step.JumpStep"

NIRCAM = (
    ParameterFile(_JUMP, {"rejection_threshold": 5.0}),
    ParameterFile(_JUMP, {"rejection_threshold": 6.0}, edition=2),
    # Stars that saturate after their first group still have a flux.
    ParameterFile(
        "jwst.pipeline.calwebb_detector1.Detector1Pipeline",
        substeps={
            ("ramp_fit", "jwst.ramp_fitting.ramp_fit_step.RampFitStep"): {
                "suppress_one_group": False
            }
        },
    ),
    # The cut-out is only ten arcsec wide: stars stand closer than the defaults expect.
    # The first exposure is the one that points where its header says.
    ParameterFile(
        "jwst.tweakreg.tweakreg_step.TweakRegStep",
        {
            "separation": 0.3,
            "tolerance": 0.15,
            "searchrad": 0.5,
            "kernel_fwhm": 2.3,
            "enforce_user_order": True,
        },
    ),
    ParameterFile(
        "jwst.source_catalog.source_catalog_step.SourceCatalogStep",
        {"npixels": 10, "snr_threshold": 5.0, "kernel_fwhm": 2.3},
    ),
)


def references() -> list[Reference]:
    """List them as reference files; each serves every exposure of the instrument."""
    return [
        Reference("nircam", file.reftype, file.tree, edition=file.edition, extension="asdf")
        for file in NIRCAM
    ]


def _class_name(path: str) -> str:
    return path.rpartition(".")[2]
