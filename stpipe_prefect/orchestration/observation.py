"""What really happens in a run: which steps run, with which parameters, on which references.

A pipeline's ``process`` is a program. It may set parameters, put another step in the place of
one, or call steps that nobody has declared; hooks may be steps. So every ``run`` of a step is
observed, on whichever base it is written, and every question for a reference file is noted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from pathlib import Path
from typing import Any

from ..current import Current
from ..datamodel import is_library, is_sequence
from ..exceptions import reason
from ..products.names import folder_path
from ..products.staging import Staging
from ..provenance.collect import described, recordable
from ..provenance.dependencies import Dependencies, Row, row_name
from ..provenance.fingerprint import FileContent
from ..provenance.inserted import notes
from ..provenance.looks import look_at
from ..provenance.models import header_of, is_of_exposure
from ..provenance.statistics import statistics_of
from ..references.lookup import noted_lookups
from ..references.needs import differing_parameters
from ..references.reference import ReferenceFile
from ..step import Step
from ..workarounds import replaced
from .tasks import reported

SET_IN_CODE = "set in code"
WHERE = ("input_dir", "output_dir")
"""Parameters that every run sets by itself."""

_observing: Current[Observation] = Current("observation")
_asking: ContextVar[str] = ContextVar("asking_step", default="")


class Observation:
    """What is observed of one run."""

    def __init__(
        self,
        pipeline: Any,
        dependencies: Dependencies,
        crds_parameters: Mapping[str, Any],
        staging: Staging,
    ) -> None:
        self._dependencies = dependencies
        self._crds_parameters = crds_parameters
        self._staging = staging
        self._paths = dict(_paths(pipeline, ""))
        self._known = list(_steps(pipeline))  # so that no other gets the identity of one
        self._placed: set[int] = set()
        self._planned: dict[str, list[Row]] = defaultdict(list)
        for row in dependencies.parameters:
            self._planned[row["step"]].append(row)
        self._parameters: dict[str, Row] = {}
        self._references: dict[str, Row] = {}
        self._statistics: dict[str, Row] = {}
        self._headers: dict[str, Row] = {}
        self._looks: dict[str, Row] = {}

    @property
    def parameters(self) -> list[Row]:
        """All parameters as they were when their steps ran."""
        planned = {row_name(row): row for row in self._dependencies.parameters}
        return [*(planned | self._parameters).values()]

    @property
    def references(self) -> list[Row]:
        """All reference files: those selected before, and those that were asked for besides."""
        observatory = self._dependencies.observatory
        rows = [*self._dependencies.references, *self._references.values()]
        return [described(row, observatory) for row in rows]

    @property
    def insertions(self) -> list[Row]:
        """The steps inserted into the pipeline."""
        return self._dependencies.insertions

    @property
    def notes(self) -> dict[str, str]:
        """What products are to say of these, by step."""
        return notes(self._dependencies)

    @property
    def inputs(self) -> list[FileContent]:
        """What the run is given."""
        return self._dependencies.inputs

    @property
    def asked(self) -> list[Row]:
        """The reference files that were asked for besides those selected before."""
        return [*self._references.values()]

    @property
    def statistics(self) -> dict[str, Row]:
        """Statistics of the models that were saved, by file name, in the order of the names."""
        return _in_order(self._statistics)

    @property
    def headers(self) -> dict[str, Row]:
        """Facts of the headers of these models, likewise."""
        return _in_order(self._headers)

    @property
    def looks(self) -> dict[str, Row]:
        """Quick looks of these models, likewise."""
        return _in_order(self._looks)

    def run(self, step: Any, args: tuple[Any, ...], run: Callable[..., Any]) -> Any:
        """Run a step, and take note of that."""
        declared = id(step) in self._paths
        path = self._path(step)
        self._note_parameters(step, path, declared)
        token = _asking.set(path)
        try:
            return run(*args) if declared else self._run_undeclared(step, path, args, run)
        finally:
            _asking.reset(token)

    @contextmanager
    def placed(self, step: Any) -> Iterator[None]:
        """Have a step that is not the pipeline's own write where products are published from."""
        if id(step) in self._paths or id(step) in self._placed:
            yield
            return
        folder = step.output_dir
        if folder:
            step.output_dir = str(self._staging.folder_for(folder_path(folder)))
        else:  # it writes beside the step it is a hook of
            step.output_dir = step.search_attr("output_dir") or str(self._staging.folder)
        self._placed.add(id(step))
        try:
            yield
        finally:
            self._placed.remove(id(step))
            step.output_dir = folder

    def note_saved(self, saved: Any, model: Any) -> None:
        """Measure a model that has been saved; of several, each is saved by itself."""
        if isinstance(saved, (str, Path)) and not (is_library(model) or is_sequence(model)):
            name = Path(saved).name
            self._statistics[name] = statistics_of(model)
            self._headers[name] = header_of(model)
            is_combined = len(self.inputs) > 1 and not is_of_exposure(model)
            self._looks[name] = look_at(model, is_combined=is_combined)

    def note_reference(
        self,
        wanted: ReferenceFile,
        crds_parameters: Mapping[str, Any],
        answer: ReferenceFile | Exception | None,
    ) -> None:
        """Note a reference file that was asked for, unless it was selected before."""
        step, kind = _asking.get(), wanted.reference_type
        if any(
            (row["step"], row["type"], row["file"]) == (step, kind, wanted.name)
            for row in self._dependencies.references
        ):
            return
        row: Row = {"step": step, "type": kind, "file": wanted.name, "asked": True}
        if not crds_parameters:
            row["named"] = True
        elif matched := differing_parameters(wanted, crds_parameters, self._crds_parameters):
            row["matched"] = matched
        if wanted.context != self._dependencies.context:
            row["context"] = wanted.context
        key = json.dumps(row, sort_keys=True, default=str)
        if isinstance(answer, Exception):
            row["missing"] = reason(answer)
        self._references[key] = row

    def _path(self, step: Any) -> str:
        """Name a step by those it is part of."""
        known = self._paths.get(id(step))
        if known is not None:
            return known
        above = self._path(step.parent) if step.parent is not None else ""
        return f"{above}.{step.name}".lstrip(".")

    def _note_parameters(self, step: Any, path: str, declared: bool) -> None:
        if not declared:
            for name, value in _parameters(step).items():
                row = {"step": path, "parameter": name, "value": recordable(value)[0]}
                row |= {"source": SET_IN_CODE, "undeclared": True}
                self._parameters[row_name(row)] = row
            return
        for row in self._planned[path]:
            name = row["parameter"]
            value = recordable(getattr(step, name, None))[0]
            by_run = name == "suffix" and value == step.default_suffix()  # from the run before
            if value != row["value"] and name not in WHERE and not by_run:
                used = {**row, "value": value, "source": SET_IN_CODE, "planned": row["value"]}
                self._parameters[row_name(row)] = used

    def _run_undeclared(
        self, step: Any, path: str, args: tuple[Any, ...], run: Callable[..., Any]
    ) -> Any:
        with self.placed(step):
            return reported(step, path, partial(run, *args))[1]


@contextmanager
def observing(observation: Observation, pipeline: Any) -> Iterator[None]:
    """Observe what runs within the block."""
    with ExitStack() as stack:
        classes: set[type] = {Step, *(type(step) for step in _steps(pipeline))}
        for name, make in (("run", _observed), ("save_model", _staged)):
            for base in {_base(each, name) for each in classes}:
                stack.enter_context(replaced(base, name, make))
        stack.enter_context(noted_lookups(observation.note_reference))
        stack.enter_context(_observing.set(observation))
        yield


def _observed(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def run(step: Any, *args: Any) -> Any:
        observation = _observing.inferred()
        if observation is None:
            return original(step, *args)
        return observation.run(step, args, partial(original, step))

    return run


def _staged(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def save_model(step: Any, model: Any, *args: Any, **options: Any) -> Any:
        observation = _observing.inferred()
        if observation is None:
            return original(step, model, *args, **options)
        with observation.placed(step):
            saved = original(step, model, *args, **options)
        observation.note_saved(saved, model)
        return saved

    return save_model


def _in_order(rows: Mapping[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in sorted(rows.items()) if row}


def _base(step_class: type, name: str) -> type:
    """Find the class that all steps of one base have their ``run`` or so from."""
    return next(each for each in reversed(step_class.mro()) if name in vars(each))


def _paths(step: Any, path: str) -> Iterator[tuple[int, str]]:
    yield id(step), path
    for name in getattr(step, "step_defs", {}):
        yield from _paths(getattr(step, name), f"{path}.{name}".lstrip("."))


def _steps(step: Any) -> Iterator[Any]:
    """Go through a pipeline, its steps, theirs, and the hooks among them that are steps."""
    yield step
    for name in getattr(step, "step_defs", {}):
        yield from _steps(getattr(step, name))
    for hook in (*getattr(step, "_pre_hooks", ()), *getattr(step, "_post_hooks", ())):
        step = getattr(hook, "step", hook)  # as ours keep it, or as upstream's do
        if hasattr(step, "get_pars"):
            yield step


def _parameters(step: Any) -> Mapping[str, Any]:
    """Give the parameters of a step without those of its own steps."""
    try:
        return {name: value for name, value in step.get_pars().items() if name != "steps"}
    except Exception:  # set to what its declaration does not allow: the step will say so
        return {}
