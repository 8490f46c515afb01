"""What is inserted into a pipeline, and where: before or after which of its steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exceptions import UnknownStepError, UsageError
from ..parameters.resolution import Layer, Source
from ..registry import find_step, import_object

AFTER = "after"
BEFORE = "before"

SOURCE = "insert"
"""What gives the parameters that a step is inserted with, as `explain` and records name it."""

AnyStep = str | type | Callable[..., Any]
"""A Step class of either base, a function model -> model, or the dotted path or alias of one."""


@dataclass(frozen=True)
class Insertion:
    """A step to insert into a pipeline.

    Attributes
    ----------
    anchor : str
        The step of the pipeline, or another inserted one, beside which it runs.
    where : str
        ``"after"`` or ``"before"`` the anchor.
    step : type, callable or str
        A Step class, a function that takes and returns a data model, or the dotted path or alias
        of one.
    name : str
        Of the step in the pipeline; if empty, its ``class_alias``, or the name of the class or
        function in snake case.
    parameters : mapping
        Of the step: over its own defaults and CRDS, and below whatever the user gives.
    source : str
        Who gives these parameters, as `explain` and the record name it.
    """

    anchor: str
    where: str
    step: AnyStep
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = SOURCE

    def __post_init__(self) -> None:
        if self.where not in (AFTER, BEFORE):
            raise UsageError(f"a step is inserted 'after' or 'before' another, not {self.where!r}")

    @property
    def place(self) -> str:
        """Say where it is, such as ``"after jump"``."""
        return f"{self.where} {self.anchor}"

    @property
    def path(self) -> str:
        """The text by which the step can be imported: as it was given, or its dotted path."""
        return self.step if isinstance(self.step, str) else _path(self.step)

    def imported(self) -> Any:
        """Give the class or function itself; modules in the current folder are found, too."""
        if not isinstance(self.step, str):
            return self.step
        if "." in self.step and "::" not in self.step:
            return import_object(self.step, Path())
        return find_step(self.step)

    def layer(self, name: str) -> Layer:
        """Give its parameters as a layer, for a step of this name."""
        return Layer(Source(self.source), {"steps": {name: dict(self.parameters)}})

    def as_json(self) -> dict[str, Any]:
        """Give what another process needs to make the same.

        Raises
        ------
        UsageError
            The class or function cannot be imported by its name.
        """
        if not isinstance(self.step, str) and not is_importable(self.step):
            raise UsageError(
                f"{self.path} cannot be imported in another process: "
                "define it in a module, not within a function"
            )
        return {
            "anchor": self.anchor,
            "where": self.where,
            "step": self.path,
            "name": self.name,
            "parameters": dict(self.parameters),
            "source": self.source,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Insertion:
        """Make it of what `as_json` gave."""
        return cls(**row)


def after(anchor: str, step: AnyStep, /, *, name: str = "", **parameters: Any) -> Insertion:
    """Insert a step after one of a pipeline, for ``as_flow(…, insert=[…])``.

    Parameters
    ----------
    anchor : str
        Name of the step of the pipeline, or of another inserted one.
    step : type, callable or str
        A Step class, written on this package or on stpipe, a function that takes a data model
        and returns one, or the dotted path or alias of one. The keyword parameters of a function,
        which need plain defaults, become parameters of the step.
    name : str, optional
        Of the step in the pipeline. By default its ``class_alias``, or the name of the class or
        function in snake case.
    **parameters
        Parameters of the step, which files and parameters of the run override.

    Returns
    -------
    Insertion
        It takes what the anchor returned, of several things the first, and what it returns
        takes the place of that.

    Examples
    --------
    >>> flow = as_flow(
    ...     "calwebb_detector1", insert=[after("jump", "snowblind.SnowblindStep", min_radius=4)]
    ... )  # doctest: +SKIP
    """
    return Insertion(anchor, AFTER, step, name, parameters)


def before(anchor: str, step: AnyStep, /, *, name: str = "", **parameters: Any) -> Insertion:
    """Insert a step before one of a pipeline; see `after`.

    Parameters
    ----------
    anchor, step, name, **parameters
        As for `after`.

    Returns
    -------
    Insertion
        It takes the first argument of the anchor, and what it returns takes the place of that.
    """
    return Insertion(anchor, BEFORE, step, name, parameters)


def is_of_insertion(source: str) -> bool:
    """Tell by the source of a parameter whether its step was inserted with it.

    Campaign files put their names before it, and whom it is for behind.
    """
    return re.fullmatch(rf"(?:.*, )?{SOURCE}(?: for .*)?", source) is not None


def is_importable(member: Any) -> bool:
    """Tell whether a class or function can be imported by its name."""
    try:
        return import_object(_path(member)) is member
    except UnknownStepError:
        return False


def _path(member: Any) -> str:
    module = getattr(member, "__module__", "")
    return f"{module}.{getattr(member, '__qualname__', type(member).__qualname__)}"
