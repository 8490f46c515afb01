"""Running inserted steps: whenever the pipeline runs their anchors, whoever runs the pipeline."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import getsourcefile
from typing import Any

from ..datamodel import is_library, is_model
from ..exceptions import InsertedStepError, StpipePrefectError, reason
from ..outcomes import Outcome, outcome_of
from .derived import Inserted, inserted_in
from .functions import made_from
from .insertion import BEFORE

logger = logging.getLogger("stpipe.insertions")

Run = Callable[..., Any]


def connect(pipeline: Any, notes: Mapping[str, str]) -> None:
    """Have the ``run`` of each anchor of a configured pipeline run the steps inserted there.

    What `notes` say of a step is logged when it runs, and goes into the history of what is saved
    afterwards, as far as the data models have one.
    """
    inserted = inserted_in(pipeline)
    if not inserted:
        return
    ran: list[str] = []
    for each in inserted:
        step = getattr(pipeline, each.name)
        step.process = partial(_processed, step, each, notes.get(each.name, ""), ran)
    for anchor in dict.fromkeys(each.insertion.anchor for each in inserted):
        beside = [each for each in inserted if each.insertion.anchor == anchor]
        step = getattr(pipeline, anchor)
        step.run = partial(_run_around, step.run, pipeline, beside)
    for step in (pipeline, *(getattr(pipeline, name) for name in pipeline.step_defs)):
        step.save_model = partial(_saved, step.save_model, ran)


def _run_around(run: Run, pipeline: Any, beside: Sequence[Inserted], *args: Any) -> Any:
    """Run an anchor and the steps inserted beside it."""
    for each in beside:
        if each.insertion.where == BEFORE and args and args[0] is not None:
            args = (getattr(pipeline, each.name).run(args[0]), *args[1:])
    result = run(*args)
    for each in beside:
        if each.insertion.where == BEFORE:
            continue
        # By its type alone: what is pending would be computed if it were looked at.
        is_several = issubclass(type(result), tuple) and len(result) > 0
        first = result[0] if is_several else result
        if first is not None:
            made = getattr(pipeline, each.name).run(first)
            result = (made, *result[1:]) if is_several else made
    return result


def _processed(step: Any, inserted: Inserted, note: str, ran: list[str], *args: Any) -> Any:
    """Do the work of an inserted step, and say what is wrong with it if something is."""
    title = f"step {inserted.name} ({inserted.insertion.path}, inserted {inserted.insertion.place})"
    logger.info("%s", note)
    try:
        result = type(step).process(step, *args)
    except StpipePrefectError:
        raise
    except Exception as error:
        if outcome_of(error) is not Outcome.FAILED:  # out of time or memory, or without data
            raise
        what = f"{type(error).__name__}: {reason(error)}"
        raise InsertedStepError(f"{title} failed {_where(error, step)}: {what}") from error
    if not _is_data(result):
        what = "nothing" if result is None else f"a {type(result).__name__}"
        raise InsertedStepError(f"{title} returned {what}: expected a data model")
    if note and note not in ran:
        ran.append(note)
    return result


def _where(error: Exception, step: Any) -> str:
    """Name the line of the user's code that led to an error, or else where it was raised."""
    try:
        file = getsourcefile(made_from(type(step)))
    except TypeError:  # typed in where nothing is kept
        file = None
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames
    return f"at {own[-1].filename}, line {own[-1].lineno}"


def _is_data(result: Any) -> bool:
    several = isinstance(result, list) and bool(result) and all(map(is_model, result))
    return several or is_model(result) or is_library(result)


def _saved(save_model: Run, ran: Sequence[str], model: Any, *args: Any, **options: Any) -> Any:
    """Save a model that says which inserted steps ran, where its format has a history."""
    if hasattr(model, "add_history_entry"):
        for note in ran:
            model.add_history_entry(note)
    return save_model(model, *args, **options)
