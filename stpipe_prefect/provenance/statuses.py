"""What a step records in the data about its own work: ``meta.cal_step``.

A step that cannot do its work does not stop the pipeline: it leaves the data alone, sets its
status to ``FAILED`` and logs why. Statuses of jwst are those of ``record_step_status`` in
``jwst.stpipe.utilities``; romancal's tweakreg sets ``FAILED`` itself. Only the status of the step
that has just run says something: ``INCOMPLETE`` is the first value of every status of Roman.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..outcomes import Outcome
from .inputs import each_model

KEPT_ELSEWHERE = {
    "align_refs": "align_psfs",
    "dark_current": "dark_sub",
    "master_background_mos": "master_background",
    "resample_spec": "resample",
    "stack_refs": "stack_psfs",
}
"""Statuses that are not named after the alias of their step."""

NOT_APPLICABLE = {
    # Fewer than two exposures: nothing to compare them with.
    "outlier_detection": "Input only contains",
    # One exposure and no absolute catalogue: nothing to align it to.
    "tweakreg": r"At least two exposures are required for image alignment\.$",
    # The association has no background members, or the MSA configuration no such slits.
    "master_background": "No background data found|No (background|source) slits",
}
"""How a message begins of a step that says ``FAILED`` where there was nothing for it to do."""

_SKIPPED = ("SKIPPED", "N/A")
_OTHERS = ("py.warnings", "CRDS", "stpipe")
"""Loggers of what is not the step's own."""

_LISTENED_TO = 2
"""The last warning alone may only say that the step will be skipped."""


@dataclass(frozen=True)
class Judgement:
    """What became of a step: `reason` is empty where all is well."""

    outcome: Outcome
    reason: str = ""


def judged(step: Any, result: Any, logged: Iterable[logging.LogRecord]) -> Judgement:
    """Judge a step that has just run by what it recorded in its result.

    The reason is what it last warned of, among what it has `logged`.
    """
    if step.skip:
        return Judgement(Outcome.SKIPPED)
    alias = step.class_alias or ""
    status = KEPT_ELSEWHERE.get(alias, alias)
    found = [_status(model, status) for model in each_model(result)]
    failed = found.count("FAILED")
    if not failed:
        skipped = bool(found) and all(each in _SKIPPED for each in found)
        return Judgement(Outcome.SKIPPED if skipped else Outcome.COMPLETED)
    said = [record for record in logged if not record.name.startswith(_OTHERS)]
    warned = [record for record in said if record.levelno >= logging.WARNING] or said[-1:]
    messages = [" ".join(record.getMessage().split()) for record in warned]
    pattern = NOT_APPLICABLE.get(status)
    if pattern and any(re.match(pattern, message) for message in messages):
        return Judgement(Outcome.SKIPPED, _joined(messages))
    share = f"{failed} of {len(found)} members: " if failed < len(found) else ""
    return Judgement(Outcome.DEGRADED, share + (_joined(messages) or "it did not say why"))


def _status(model: Any, name: str) -> Any:
    return getattr(getattr(getattr(model, "meta", None), "cal_step", None), name, None)


def _joined(messages: list[str]) -> str:
    return "; ".join(dict.fromkeys(messages[-_LISTENED_TO:]))
