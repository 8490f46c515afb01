"""One reference file: whom it serves, and how it is made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..files import CREATED, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USEAFTER = "2021-12-25T00:00:00"
"""The day of launch: good for every exposure."""


@dataclass(frozen=True)
class Reference:
    """A reference file to be made.

    Attributes
    ----------
    instrument : lower case, as in the file's name
    reftype : the field's name of its type: ``flat``, ``pars-jumpstep``
    make : makes its content: a data model, or a tree for files that have no data model
    match : the exposures it serves, as CRDS says it:
        ``{"META.INSTRUMENT.DETECTOR": "NRCB1"}``, alternatives with ``|``; empty for the whole
        instrument
    edition : the number of the context that first delivers it; from then on it takes the
        place of an earlier one with the same `match`
    extension : ``fits``, ``asdf`` or ``json``
    pedigree : where it comes from
    """

    instrument: str
    reftype: str
    make: Callable[[], Any]
    match: dict[str, str] = field(default_factory=dict)
    edition: int = 1
    extension: str = "fits"
    pedigree: str = "SIMULATION"

    telescope: ClassVar[str] = "JWST"

    def write(self, path: Path) -> None:
        """Make the file, with the header that CRDS asks of every reference file."""
        name = self.instrument.upper()
        meta: dict[str, Any] = {
            "telescope": self.telescope,
            "reftype": self.reftype if self.reftype.startswith("pars-") else self.reftype.upper(),
            "author": "stpipe_prefect",
            "pedigree": self.pedigree,
            "description": f"Simulated {self.reftype} reference file for {name}",
            "useafter": USEAFTER,
            "instrument": {"name": name},
        }
        content = self.make()
        if isinstance(content, dict):
            tree = {**content, "meta": {**meta, "origin": "stpipe_prefect", "date": CREATED}}
            _WRITERS[self.extension](tree, path)
            return
        for parameter, value in self.match.items():
            *_, group, key = parameter.lower().split(".")
            meta.setdefault(group, {})[key] = value.partition("|")[0]
        self._save(content, meta, path)

    def _save(self, content: Any, meta: dict[str, Any], path: Path) -> None:
        with content as model:
            model.update({"meta": meta})
            save(model, path)


def _write_asdf(tree: dict[str, Any], path: Path) -> None:
    import asdf

    asdf.AsdfFile(tree).write_to(path)


def _write_json(tree: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")


_WRITERS = {"asdf": _write_asdf, "json": _write_json}


def cut_out(model: Any, subarray: dict[str, object]) -> Any:
    """State which part of the detector a reference file covers, and define its DQ bits.

    Without the definitions, the steps would drop every bit of the file's DQ array.
    """
    import numpy as np
    from stdatamodels.jwst.datamodels.dqflags import pixel

    model.update({"meta": {"subarray": subarray}})
    if "dq" in model.schema["properties"]:
        flags = [(name, value) for name, value in pixel.items() if value]
        model.dq_def = np.array(
            [(value.bit_length() - 1, value, name, "") for name, value in flags],
            dtype=[("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")],
        )
    return model


def plate(x: float, y: float, scale: float, v2: float, v3: float) -> Any:
    """State a plate scale and no distortion proper.

    Parameters
    ----------
    x, y : 0-based pixel that lies at `v2`, `v3`
    scale : arcsec a pixel
    v2, v3 : arcsec in the telescope's focal plane
    """
    from astropy import units
    from astropy.modeling.models import Scale, Shift
    from stdatamodels.jwst.datamodels import DistortionModel

    return DistortionModel(
        model=Shift(-x) & Shift(-y) | Scale(-scale) & Scale(scale) | Shift(v2) & Shift(v3),
        input_units=units.pix,
        output_units=units.arcsec,
    )
