"""The mission's data model: a row of pixels and its metadata, in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Row:
    """One exposure, or what was made of it."""

    crds_observatory = "jwst"  # crds knows no others

    def __init__(self, data: Sequence[float], detector: str = "NRCB1", **meta: Any) -> None:
        self.data = list(data)
        self.meta = SimpleNamespace(
            **{"filename": None, "references": {}, "steps": {}} | meta | {"detector": detector}
        )
        self.meta.cal_step = SimpleNamespace(**self.meta.steps)

    @classmethod
    def open(cls, path: str | Path) -> Row:
        content = json.loads(Path(path).read_text())
        return cls(content["data"], **content["meta"] | {"filename": Path(path).name})

    def save(self, path: str) -> str:
        self.meta.filename = Path(path).name
        meta = {k: v for k, v in vars(self.meta).items() if k not in ("cal_step", "filename")}
        meta["steps"] = vars(self.meta.cal_step)
        Path(path).write_text(json.dumps({"data": self.data, "meta": meta}, indent=1))
        return path

    def to_flat_dict(self, include_arrays: bool = True) -> dict[str, Any]:
        return {f"meta.{k}": str(v) for k, v in vars(self.meta).items()} | {"data": self.data}

    def get_crds_parameters(self) -> dict[str, Any]:
        return {
            "meta.instrument.name": "NIRCAM",
            "meta.instrument.detector": self.meta.detector,
            "meta.observation.date": "2024-01-01",
            "meta.observation.time": "00:00:00",
        }
