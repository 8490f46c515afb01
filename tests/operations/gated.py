"""A small flow for a deployment: one of its steps goes on only when a file is there."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from lantern.model import Row
from lantern.steps import ClipStep, DarkStep, LanternStep

from stpipe_prefect import Pipeline, as_flow

log = logging.getLogger("lantern.gated")


class GateStep(LanternStep):
    """Say a number every tenth of a second until there is a file `go`."""

    class_alias = "gate"

    def process(self, data: Any) -> Row:
        row = self.open_model(data)
        number = 0
        while not Path("go").exists():
            log.info("waiting %d", number)
            number += 1
            time.sleep(0.1)
        Path("said").write_text(str(number))
        return row


class GatedPipeline(Pipeline, LanternStep):
    """Calibrate an exposure, with a wait in the middle."""

    class_alias = "lantern_gated"
    spec = "suffix = string(default='cal')  # What to append to the names of products"
    step_defs = {"dark": DarkStep, "gate": GateStep, "clip": ClipStep}

    def process(self, data: Any) -> Row:
        return self.clip.run(self.gate.run(self.dark.run(data)))


gated = as_flow(GatedPipeline)
