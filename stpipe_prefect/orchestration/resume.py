"""Going on where an earlier run of the same pipeline stopped.

The pipeline's own ``process`` drives, also here. Steps before the last valid checkpoint are not
run: each returns a `Pending`, and the step of the checkpoint the model that was kept. Should
``process`` look at a `Pending`, or call another step than the earlier run did, then the steps so
far are run after all; so nothing is taken for granted about what ``process`` does. Where it could
take the input away from under them the first step is run in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import wrapt

from ..datamodel import is_model
from ..exceptions import UsageError, nearest, reason
from ..outcomes import Outcome
from ..provenance import checkpoints as store
from ..provenance.collect import described
from ..provenance.dependencies import Dependencies, Row, named_files
from ..provenance.fingerprint import fingerprint
from ..provenance.statuses import judged
from .tasks import cached_task

logger = logging.getLogger("stpipe.checkpoints")

_WHERE_TO = ("input_dir", "output_dir", "output_file", "save_results", "suffix")
"""Parameters that say where results go, not what they are."""

Compute = Callable[[], Any]


class Pending(wrapt.LazyObjectProxy):  # type: ignore[type-arg]
    """What a step that did not run would return; it is computed when it is looked at."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__wrapped__)


def revealed(thing: Any) -> Any:
    """Compute what is pending; give anything else as it is."""
    return thing.__wrapped__ if issubclass(type(thing), Pending) else thing


class Resumption:
    """Keeps checkpoints after the steps wanted, and takes up those of an earlier run."""

    def __init__(self, pipeline: Any, dependencies: Dependencies, wanted: Collection[str]) -> None:
        steps = getattr(pipeline, "step_defs", {})
        before = {
            name.removeprefix(store.BEFORE) for name in wanted if name.startswith(store.BEFORE)
        }
        wanted = {name for name in wanted if not name.startswith(store.BEFORE)}
        for name in (*wanted, *before):
            if name != "all" and name not in steps:
                raise UsageError(
                    f"there is no step {name!r} to keep a checkpoint after{nearest(name, steps)}"
                )
        self._pipeline = pipeline
        self._dependencies = dependencies
        inputs = [Path(file.path).name for file in dependencies.inputs]
        alias = pipeline.class_alias or type(pipeline).__name__
        self._run = f"{Path(inputs[0]).stem}.{alias}" if inputs else alias
        self._wanted = set(steps) if "all" in wanted else wanted
        self._before = before
        self._called: list[str] = []
        self._latest: Any = None
        self._is_linear = bool(wanted or before) and not dependencies.opaque
        self._why_not = "each step must take what the one before returned"
        if dependencies.opaque:
            self._why_not = f"{dependencies.opaque[0]} cannot be compared between runs"
        self._checkpoint = self._find() if self._is_linear else None
        if self._checkpoint is not None:
            # The class's of the moment: who observes the run replaces it later.
            pipeline.save_model = lambda model, *args, **kwargs: type(pipeline).save_model(
                pipeline, revealed(model), *args, **kwargs
            )

    def run(self, name: str, args: tuple[Any, ...], compute: Compute) -> Any:
        """Run a step, or stand in for it; give what it returns."""
        found = self._cached(name, args, compute)
        if found:
            cached_task(name)()
            return found[0]
        if name in self._before:
            self._keep_what_it_takes()
        result = compute()
        # Looking at the members of a library opens each of them: only where it matters.
        if self._is_linear and self._is_degraded(name, result):
            self.keep_no_more(f"{name} could not do its work, which a resumed run would not say")
        self._ran(name, result)
        return result

    def _is_degraded(self, name: str, result: Any) -> bool:
        step = getattr(self._pipeline, name)
        return judged(step, result, ()).outcome is Outcome.DEGRADED

    def keep_no_more(self, why: str) -> None:
        """Keep nothing from here on."""
        if self._is_linear:
            self._is_linear, self._why_not = False, why

    def _cached(self, name: str, args: tuple[Any, ...], compute: Compute) -> tuple[Any, ...]:
        number = len(self._called)
        self._called.append(name)
        self._is_linear &= len(args) == 1 and (number == 0 or args[0] is self._latest)
        if self._checkpoint is None:
            return ()
        steps = self._checkpoint.steps
        if not self._is_linear or number >= len(steps) or steps[number] != name:
            self._checkpoint = None
            return ()
        if number == len(steps) - 1:
            try:
                self._latest = self._load(self._checkpoint)
            except Exception as error:
                logger.warning("Checkpoint after %s cannot be read: %s", name, reason(error))
                return ()
            finally:
                self._checkpoint = None
        else:
            if number == 0 and is_model(args[0]) and not _kept_open(args[0]):
                return ()
            self._latest = Pending(compute)
        return (self._latest,)

    def _ran(self, name: str, result: Any) -> None:
        self._latest = result if self._is_linear else None
        if name in self._wanted and not self._is_linear:
            logger.warning("No checkpoint after %s and later steps: %s", name, self._why_not)
            self._wanted = set()
        elif name in self._wanted:
            self._keep(self._called, result)

    def _keep_what_it_takes(self) -> None:
        """Keep what the step takes that is about to run; before one alone, the first of those."""
        self._before = set()
        *steps, _ = self._called
        if steps and self._is_linear:
            self._keep(steps, revealed(self._latest))

    def _keep(self, steps: Sequence[str], result: Any) -> None:
        step = getattr(self._pipeline, steps[-1])
        ext = step.output_ext or self._pipeline.output_ext
        try:
            store.keep(self._run, steps, self._fingerprint(steps), result, ext)
        except Exception as error:  # it only costs time, another time
            logger.warning("No checkpoint after %s: %s", steps[-1], reason(error))

    def _find(self) -> store.Checkpoint | None:
        for checkpoint in store.usable(self._run):
            steps = [getattr(self._pipeline, name, None) for name in checkpoint.steps]
            if (
                not any(step is None or _has_effects(step) for step in steps)
                and self._fingerprint(checkpoint.steps) == checkpoint.fingerprint
                and checkpoint.is_whole
            ):
                return checkpoint
        return None

    def _load(self, checkpoint: store.Checkpoint) -> Any:
        models = []
        for file in checkpoint.files:
            model = None
            if file is not None:
                model = self._pipeline._datamodels_open(str(checkpoint.folder / file["name"]))
                model.meta.filename = file["filename"]
            models.append(model)
        return tuple(models) if checkpoint.is_sequence else models[0]

    def _fingerprint(self, steps: Collection[str]) -> str:
        made_from = self._dependencies

        def concerns(row: Row) -> bool:
            names = row.get("steps", [row.get("step")])
            return any(name == "" or name.partition(".")[0] in steps for name in names)

        return fingerprint(
            {
                "pipeline": made_from.pipeline,
                "code": [
                    [row["name"], row["version"], row["sha256"]]
                    for row in made_from.code or ()
                    if concerns(row)
                ],
                "inputs": [file.sha256 for file in made_from.inputs],
                "steps": list(steps),
                "insertions": [row for row in made_from.insertions if concerns(row)],
                "parameters": [
                    [
                        *(row["step"], row["parameter"], row["value"]),
                        [file.sha256 for file in named_files(row)],
                    ]
                    for row in made_from.parameters
                    if concerns(row) and row["parameter"] not in _WHERE_TO
                ],
                "references": [
                    [row["step"], row["type"], row["file"], row.get("sha1", "")]
                    for row in (
                        described(row, made_from.observatory)
                        for row in made_from.references
                        if concerns(row) and not row["type"].startswith("pars-")
                    )
                ],
            }
        )


def _kept_open(model: Any) -> bool:
    """Have a model outlive what is pending on it, if that can be done.

    romancal's pipeline closes its input as soon as the first step has returned something else.
    """
    try:
        # Plainly assigned, the function would go into the model's tree.
        object.__setattr__(model, "close", lambda: None)
    except AttributeError:
        return False
    return True


def _has_effects(step: Any) -> bool:
    """Tell whether a step leaves something behind besides what it returns."""
    return bool(step.save_results or step.output_file or step.pre_hooks or step.post_hooks)
