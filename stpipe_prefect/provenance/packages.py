"""Packages that steps are from, or that steps calibrate with: their versions, if these say all."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path

from .imports import find_module

CALIBRATING = (
    "stcal",
    "stdatamodels",
    "roman_datamodels",
    "drizzle",
    "tweakwcs",
    "photutils",
    "gwcs",
    "spherical_geometry",
)
"""Besides those that steps and hooks are from: a change of these can change a product."""
_ALSO_RECORDED = ("crds", "numpy", "stpipe_prefect")
_RUNNERS = ("flows", "stpipe", "stpipe_prefect")
"""They run steps: what is calculated is not theirs."""


@dataclass(frozen=True)
class Package:
    """What is imported by one name without dots, and is not the same wherever it is installed.

    Attributes
    ----------
    distribution, version : str
        Empty if it counts by nothing but the source of its modules.
    is_settled : bool
        Whether the version says what its code is.
    is_folder : bool
        Whether it is a distribution of more than one module.
    """

    distribution: str
    version: str
    is_settled: bool
    is_folder: bool


_NO_DISTRIBUTION = Package("", "", is_settled=False, is_folder=False)


def find_package(name: str, *, counts: bool) -> Package | None:
    """Find out what is imported by a name without dots.

    None if its code is taken for the same: that of Python, of what runs steps, and of what is
    installed but does not count.
    """
    if name in sys.stdlib_module_names or name in _RUNNERS:
        return None
    spec = find_module(name)
    folders = spec.submodule_search_locations if spec is not None else None
    origin = (spec.origin if spec is not None else None) or next(iter(folders or ()), None)
    if origin is None:  # found otherwise than by the import system, or not there at all
        return _NO_DISTRIBUTION
    is_installed = not {"site-packages", "dist-packages"}.isdisjoint(Path(origin).parts)
    found = _distribution(name, by_files=is_installed and counts)
    is_settled = is_installed if found is None else _is_settled(found, Path(origin))
    if not counts:
        return None if is_settled else _NO_DISTRIBUTION
    if found is None:
        return _NO_DISTRIBUTION
    return Package(normalized(found.name), found.version, is_settled, folders is not None)


def normalized(name: str) -> str:
    """Write the name of a distribution in one way."""
    return re.sub(r"[-_.]+", "_", name).lower()


@lru_cache
def versions(mission: str) -> Mapping[str, str]:
    """List the versions of all that a mission's package requires, and Python's."""
    found = {}
    names = [*_ALSO_RECORDED, *reversed(CALIBRATING), mission]
    while names:
        name = normalized(names.pop())
        if name in found:
            continue
        try:
            package = distribution(name)
        except (PackageNotFoundError, ValueError):
            continue
        found[name] = package.version
        for requirement in package.requires or () if name not in _RUNNERS else ():
            required, _, condition = requirement.partition(";")
            if "extra" not in condition:
                names += re.findall(r"^[\w.-]+", required)
    return {**found, "python": platform.python_version()}


def _distribution(name: str, *, by_files: bool) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        names = _names_by_import().get(name) if by_files else None
        return distribution(names[0]) if names else None


@cache
def _names_by_import() -> Mapping[str, list[str]]:
    return packages_distributions()


def _is_settled(found: Distribution, origin: Path) -> bool:
    """Tell whether code is where its distribution was installed, and was built for that."""
    try:
        url = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        url = {}
    folder = Path(str(found.locate_file(""))).absolute()
    return (
        found.read_text("METADATA") is not None  # an egg-info lies beside the source
        and not url.get("dir_info", {}).get("editable", False)
        and origin.absolute().is_relative_to(folder)
    )
