"""The mission's three steps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from lantern.model import Row
from stpipe_prefect import Step

log = logging.getLogger(__name__)

SUFFIXES = ("raw", "cal", "dark", "flat", "clip")


class LanternStep(Step):
    """What all steps of the mission have in common."""

    spec = """
    output_ext = string(default='.row')  # File type of products
    """
    _log_records_formatter = logging.Formatter("%(name)s: %(message)s")

    @classmethod
    def _datamodels_open(cls, init: Any, **kwargs: Any) -> Row:
        if isinstance(init, Row):
            return init
        if str(init).endswith(".night"):  # a list of exposures: the first stands for all
            init = Path(init).parent / Path(init).read_text().split()[0]
        return Row.open(init)

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        return ("lantern", "stpipe", "py.warnings", "CRDS")

    @staticmethod
    def remove_suffix(name: str) -> tuple[str, str | None]:
        stem, separator, suffix = name.rpartition("_")
        return (stem, separator) if suffix in SUFFIXES else (name, None)

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        if isinstance(result, Row):
            result.meta.references.update(reference_files_used)


class DarkStep(LanternStep):
    """Subtract the dark current."""

    class_alias = "dark"
    spec = """
    scale = float(min=0.0, default=1.0)  # Times the dark reference
    """
    reference_file_types = ("dark",)

    def process(self, data: Any) -> Row:
        row = self.open_model(data)
        dark = _read(self.get_reference_file(row, "dark"))
        log.info("subtracting %s", dark)
        row.data = [pixel - self.scale * dark for pixel in row.data]
        row.meta.cal_step.dark = "COMPLETE"
        return row


class FlatStep(LanternStep):
    """Divide by the flat field."""

    class_alias = "flat"
    spec = """
    inverse = boolean(default=False)  # Multiply instead
    """
    reference_file_types = ("flat",)

    def process(self, data: Any) -> Row:
        row = self.open_model(data)
        reference = self.get_reference_file(row, "flat")
        if reference == "N/A":
            row.meta.cal_step.flat = "SKIPPED"
            return row
        flat = _read(reference)
        factor = flat if self.inverse else 1 / flat
        row.data = [pixel * factor for pixel in row.data]
        row.meta.cal_step.flat = "COMPLETE"
        return row


class ClipStep(LanternStep):
    """Clip what is too low or too high."""

    class_alias = "clip"
    spec = """
    low = float(default=0.0)              # No pixel below
    high = float(default=100.0)           # No pixel above
    method = option('clip', 'zero', default='clip')  # What to do with those that are
    keep = int_list(default=list())       # Indices of pixels to leave alone
    """

    def process(self, data: Any) -> Row:
        row = self.open_model(data)
        row.data = [
            pixel if index in self.keep else self._clipped(pixel)
            for index, pixel in enumerate(row.data)
        ]
        row.meta.cal_step.clip = "COMPLETE"
        return row

    def _clipped(self, pixel: float) -> float:
        inside = min(max(pixel, self.low), self.high)
        return inside if self.method == "clip" or inside == pixel else 0.0


def double(row: Row) -> Row:
    """Do what a hook may do: return something else in place of its argument."""
    row.data = [2 * pixel for pixel in row.data]
    return row


def look(result: Any) -> None:
    """Do what a hook may do: only look."""
    log.info("looked at a %s", type(result).__name__)


def _read(reference: Any) -> float:
    return (
        reference.data[0] if isinstance(reference, Row) else json.loads(Path(reference).read_text())
    )
