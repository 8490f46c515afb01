"""Which Steps and Pipelines are installed, and how a user names them.

Packages register their classes in the entry-point group ``stpipe.steps``: each entry point is
a function that returns ``(class path, alias, is_pipeline)`` tuples. That is the group jwst and
romancal already use.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .exceptions import UnknownStepError, WrongStepError, nearest, reason

ENTRY_POINT_GROUP = "stpipe.steps"


@dataclass(frozen=True)
class RegisteredStep:
    """One class that an installed package registers.

    Attributes
    ----------
    class_path : str
        Dotted path, such as ``"jwst.pipeline.Detector1Pipeline"``.
    alias : str or None
        Short name, such as ``"calwebb_detector1"``; unique within its package.
    is_pipeline : bool
        Whether the class is a Pipeline.
    package, version : str
        The distribution that registers it.
    """

    class_path: str
    alias: str | None
    is_pipeline: bool
    package: str
    version: str


@cache
def registered_steps(package: str = "") -> tuple[RegisteredStep, ...]:
    """List what every installed package registers.

    In the order the packages give; no class is imported. Only what `package` does, if it is given:
    to tell, others are imported for the better part of a second.
    """
    found = []
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        assert entry_point.dist is not None
        name, version = entry_point.dist.name, entry_point.dist.version  # read from a file
        if package not in ("", name):
            continue
        for class_path, alias, is_pipeline in entry_point.load()():
            found.append(RegisteredStep(class_path, alias, is_pipeline, name, version))
    return tuple(found)


def find_step(name: str | type, folder: Path | None = None) -> Any:
    """Find a Step or Pipeline class by any of its names.

    Parameters
    ----------
    name : str or type
        The class itself, an alias (``"jump"``), an alias with its package (``"jwst::jump"``)
        or a dotted path (``"jwst.jump.JumpStep"``).
    folder : pathlib.Path, optional
        That of the parameter file which names the class; modules that lie there are found.

    Returns
    -------
    type
        A class that honours the stpipe contract.

    Raises
    ------
    UnknownStepError
        Nothing of that name can be imported, or it is not a Step.
    """
    if isinstance(name, type):
        return _checked(name, name.__qualname__)
    package, _, alias = name.rpartition("::")
    if "." in name and not package:
        return import_class(name, folder)
    matches = [step for step in registered_steps(package) if step.alias == alias]
    if len(matches) > 1:
        choices = ", ".join(f"{step.package}::{alias}" for step in matches)
        raise UnknownStepError(f"{name!r} is registered more than once; choose one of: {choices}")
    if matches:
        return import_class(matches[0].class_path)
    raise UnknownStepError(
        f"No step or pipeline is called {name!r}{nearest(alias, _aliases())}; "
        "give an alias, package::alias or a dotted class path"
    )


def import_class(path: str, folder: Path | None = None) -> Any:
    """Import a Step class by its dotted path; see `find_step` for `folder`."""
    return _checked(import_object(path, folder), path)


def import_object(path: str, folder: Path | None = None) -> Any:
    """Import a class, function or other member of a module by its dotted path."""
    module_name, _, member = path.rpartition(".")
    try:
        module = _import_module(module_name, folder)
    except (Exception, SystemExit) as error:
        raise UnknownStepError(f"Cannot import {path!r}: {_with_line(error)}") from error
    try:
        return getattr(module, member)
    except AttributeError:
        raise UnknownStepError(
            f"{module_name!r} has no class {member!r}{nearest(member, dir(module))}"
        ) from None


def _with_line(error: BaseException) -> str:
    """Say what is wrong; and where, if it is in the code of a module."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} at {error.filename}, line {error.lineno}"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.name == "<module>"]
    if not frames:  # there is no such module
        return reason(error)
    said = f": {reason(error)}" if str(error) else ""
    return f"{type(error).__name__}{said} at {frames[-1].filename}, line {frames[-1].lineno}"


def _import_module(name: str, folder: Path | None) -> ModuleType:
    """Import what is installed, else what lies in `folder`, whose name stays off `sys.path`."""
    top = name.partition(".")[0]
    loaded = sys.modules.get(top)
    elsewhere = loaded is not None and _folders.get(top) not in (None, folder)
    if folder is not None and (elsewhere or _is_not_installed(top)):
        spec = PathFinder.find_spec(top, [str(folder.absolute())])
        if spec is not None and spec.loader is not None and spec.origin is not None:
            module = module_from_spec(spec)
            sys.modules[top] = module
            _folders[top] = folder
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[top]
                raise
    return importlib.import_module(name)


_folders: dict[str, Path] = {}
"""Of the modules that were found beside a parameter file."""


def _is_not_installed(top: str) -> bool:
    try:
        return find_spec(top) is None
    except ValueError:  # imported, but not by the import system
        return False


def _aliases() -> list[str]:
    return [step.alias for step in registered_steps("") if step.alias]


def _checked(found: Any, name: str) -> Any:
    """Hold a class against the part of the stpipe contract that everything here relies on."""
    needed = ("spec", "run", "process", "load_spec_file", "build_config", "from_config_section")
    missing = [attribute for attribute in needed if not hasattr(found, attribute)]
    if not isinstance(found, type) or missing:
        raise WrongStepError(f"{name!r} is not a Step: it has no {', '.join(missing) or 'class'}")
    return found
