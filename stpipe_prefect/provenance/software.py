"""Versions of the software that makes a product."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

RECORDED = ("stcal", "stdatamodels", "roman_datamodels", "crds", "numpy", "stpipe_prefect")
CALIBRATING = ("stcal", "stdatamodels", "roman_datamodels")
"""Besides the mission's own package: a change of these can change a product."""


def mission_of(step_class: type) -> str:
    """Name the package a class of steps comes from."""
    return step_class.__module__.partition(".")[0]


@lru_cache
def versions(mission: str) -> dict[str, str]:
    """List the versions that are recorded, by package, and Python's.

    Parameters
    ----------
    mission : str
        The package of the pipeline, such as ``"jwst"``.
    """
    found = {}
    for package in dict.fromkeys((mission, *RECORDED)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "python": platform.python_version()}
