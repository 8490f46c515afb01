"""Which code makes a pipeline's products.

A package counts by its version, where that says what its code is: where it is installed, and not
editable. Of other code each module that a step or hook imports counts by its source.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..exceptions import UnknownStepError
from ..hooks import named_by
from ..insertions.functions import made_from
from ..references.needs import steps_to_run
from .dependencies import Row
from .imports import Imports, Source, code_sha256, find_module, imports_within
from .packages import CALIBRATING, Package, find_package

_Member = type | Callable[..., Any]


class Code:
    """The code there is; each module is looked at once."""

    def __init__(self) -> None:
        self._packages: dict[tuple[str, bool], Package | None] = {}
        self._sources: dict[str, Source | None] = {}
        self._graphs: dict[frozenset[str], Imports] = {}
        self._rows: dict[tuple[frozenset[str], ...], list[Row]] = {}

    def of(self, instance: Any) -> tuple[list[Row], list[str]]:
        """List the code of those steps of a configured pipeline that are not skipped.

        Returns
        -------
        list of dict
            ``name`` and ``version`` of a distribution, or ``name`` and ``sha256`` of a module;
            ``steps``, the dotted names of those it concerns.
        list of str
            Classes and functions whose code nobody can tell.
        """
        rows: dict[str, Row] = {}
        opaque: dict[str, None] = {}
        used = list(_used(instance))
        owners = {_top(each.__module__) for _, members, _ in used for each in members}
        counting = frozenset({*owners, *CALIBRATING})
        for path, members, others in used:
            starts = frozenset(each.__module__ for each in members)
            found = list(self._imported(starts, others - starts, counting))
            for member in members:
                if self._source(member.__module__) is None:
                    name = f"{member.__module__}.{member.__qualname__}"
                    if sha256 := _own_sha256(member):
                        found.append({**_row(name), "sha256": sha256})
                    else:
                        opaque[f"code of {name}"] = None
            for row in found:
                known = rows.setdefault(row["name"], {**row, "steps": []})
                known["sha256"] = known["sha256"] or row["sha256"]
                known["steps"] += [path] if path not in known["steps"] else []
        return sorted(rows.values(), key=lambda row: (not row["version"], row["name"])), [*opaque]

    def is_still(self, rows: Collection[Row]) -> bool:
        """Tell whether code is certainly what it was when it was listed."""
        return all(self._is_still(row) for row in rows)

    def _is_still(self, row: Row) -> bool:
        if row["version"]:
            package = self._package(row["name"], counts=True)
            return package is not None and (
                (package.distribution, package.version) == (row["name"], row["version"])
                and package.is_settled
            )
        source = self._source(row["name"])
        return source is not None and source.sha256 == row["sha256"]

    def _imported(
        self, starts: frozenset[str], others: frozenset[str], counting: frozenset[str]
    ) -> Collection[Row]:
        """List what modules are or import, directly or not, but not by way of the others."""
        key = (starts, others, counting)
        if key not in self._rows:
            rows: dict[str, Row] = {}
            for name in self._reached(starts, others, counting):
                package = self._package(_top(name), counts=_top(name) in counting)
                assert package is not None
                if package.distribution:
                    known = rows.setdefault(package.distribution, _row(package.distribution))
                    known["version"] = package.version
                source = None if package.is_settled else self._source(name)
                if source is not None and source.sha256:
                    rows.setdefault(name, _row(name))["sha256"] = source.sha256
            self._rows[key] = [*rows.values()]
        return self._rows[key]

    def _reached(
        self, starts: Collection[str], others: Collection[str], counting: frozenset[str]
    ) -> Collection[str]:
        reached: set[str] = set()
        names = [*starts]
        while names:
            name = names.pop()
            package = self._package(_top(name), counts=_top(name) in counting)
            if package is None:
                continue
            graph = self._graph(counting) if package.distribution and package.is_folder else None
            while name and (name not in graph if graph is not None else not self._source(name)):
                name, _, _ = name.rpartition(".")  # a member of a module
            if name and name not in reached and name not in others:
                reached.add(name)
                source = self._source(name) if graph is None else None
                names += source.imports if source else graph[name] if graph else ()
        return reached

    def _graph(self, counting: frozenset[str]) -> Imports:
        """Give the imports within all distributions that count."""
        if counting not in self._graphs:
            found = {name: self._package(name, counts=True) for name in counting}
            versions = {
                name: package.version if package.is_settled else ""
                for name, package in found.items()
                if package is not None and package.distribution and package.is_folder
            }
            self._graphs[counting] = imports_within(versions)
        return self._graphs[counting]

    def _package(self, name: str, *, counts: bool) -> Package | None:
        key = (name, counts)
        if key not in self._packages:
            self._packages[key] = find_package(name, counts=counts)
        return self._packages[key]

    def _source(self, name: str) -> Source | None:
        if name not in self._sources:
            spec = None if name == "__main__" else find_module(name)
            self._sources[name] = None if spec is None else Source.of(spec)
        return self._sources[name]


def _row(name: str) -> Row:
    return {"name": name, "version": "", "sha256": ""}


def _used(instance: Any) -> Iterator[tuple[str, Collection[_Member], frozenset[str]]]:
    """Go through steps that are not skipped, and hooks.

    For each: the name of the step, the classes or the function that it is, and the modules of
    the step's own steps, which are none of its code.
    """
    for path, step in steps_to_run(instance):
        parts = getattr(step, "step_defs", {}).values()
        yield path, _lineage(step), frozenset(each.__module__ for each in parts)
        for hook in (*(step.pre_hooks or ()), *(step.post_hooks or ())):
            try:
                named = named_by(hook, step.config_file)
            except UnknownStepError:  # upstream's stpipe takes it for a command
                continue
            yield path, _lineage(named), frozenset()


def _lineage(thing: Any) -> Collection[_Member]:
    """List the classes that a step's code is in, or give a function."""
    if inspect.isfunction(thing):
        return [thing]
    classes = (thing if isinstance(thing, type) else type(thing)).__mro__
    counting = (each for each in classes if _top(each.__module__) not in sys.stdlib_module_names)
    return [made_from(each) for each in counting]


def _own_sha256(member: _Member) -> str:
    try:
        return code_sha256(textwrap.dedent(inspect.getsource(member)))
    except (OSError, TypeError):  # typed in where nothing is kept
        return ""


def _top(name: str) -> str:
    return name.partition(".")[0]
