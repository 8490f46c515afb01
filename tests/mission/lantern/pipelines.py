"""The mission's pipeline, and its pipeline of pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lantern.model import Row
from lantern.steps import ClipStep, DarkStep, FlatStep, LanternStep
from stpipe_prefect import Pipeline


class CalibratePipeline(Pipeline, LanternStep):
    """Calibrate one exposure."""

    class_alias = "lantern_calibrate"
    spec = """
    suffix = string(default='cal')   # What to append to the names of products
    [steps]
    [[clip]]
    low = float(default=1.0)         # No pixel below
    """
    step_defs = {"dark": DarkStep, "flat": FlatStep, "clip": ClipStep}

    def process(self, data: Any) -> Row:
        row = self.dark.run(data)
        row = self.flat.run(row)
        return self.clip.run(row)


class NightPipeline(Pipeline, LanternStep):
    """Calibrate the exposures of a night and add them up."""

    class_alias = "lantern_night"
    spec = """
    suffix = string(default='sum')   # What to append to the names of products
    """
    step_defs = {"calibrate": CalibratePipeline, "clip": ClipStep}

    def process(self, night: str) -> list[Row]:
        folder = Path(night).parent
        rows = [self.calibrate.run(str(folder / name)) for name in Path(night).read_text().split()]
        pixels = [sum(pixels) for pixels in zip(*(row.data for row in rows), strict=True)]
        total = self.clip.run(Row(pixels, references=rows[0].meta.references))
        return [total, *rows]
