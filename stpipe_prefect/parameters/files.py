"""Parameter files: what a step is told by a file, ``.asdf`` or ``.cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exceptions import ParameterError, reason


@dataclass(frozen=True)
class ParameterFile:
    """The contents of a parameter file.

    Attributes
    ----------
    class_path : str or None
        Dotted path of the Step or Pipeline it is for, if it says so.
    parameters : dict
        Values by name; those of a pipeline's steps under ``"steps"``, by step.
    """

    class_path: str | None
    parameters: dict[str, Any]


def read_parameter_file(path: Path) -> ParameterFile:
    """Read a parameter file.

    Both forms are stpipe's: ASDF by its schema ``step_config``, anything else by configobj.

    Raises
    ------
    ParameterError
        There is no such file, or it is of neither form.
    """
    import asdf
    from configobj import ConfigObj

    if not path.is_file():
        raise ParameterError(f"{path}: no such parameter file")
    try:
        if path.suffix == ".asdf":
            with asdf.open(path, memmap=False, lazy_load=False) as file:
                section = _from_asdf(file.tree)
        else:
            section = ConfigObj(str(path), raise_errors=True).dict()
    except Exception as error:
        raise ParameterError(f"{path}: not a readable parameter file: {reason(error)}") from error
    class_path = section.get("class")
    return ParameterFile(None if class_path is None else str(class_path), _parameters(section))


def _from_asdf(config: Mapping[str, Any]) -> dict[str, Any]:
    """Lay an ASDF parameter file out as configobj would: the steps as sections, by name."""
    section = {"class": config.get("class"), **config["parameters"]}
    steps = {step["name"]: _from_asdf(step) for step in config.get("steps", [])}
    return section | ({"steps": steps} if steps else {})


def _parameters(section: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what names a step rather than tells it something, in every section."""
    return {
        name: _parameters(value) if isinstance(value, Mapping) else value
        for name, value in section.items()
        if name not in ("class", "name", "config_file")
    }
