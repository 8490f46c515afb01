"""Settings of whoever runs deployments, from the environment: ``STPIPE_PREFECT_<NAME>``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "STPIPE_PREFECT_"

Folders = Annotated[tuple[Path, ...], NoDecode]


class DeploymentSettings(BaseSettings):
    """What runs of a deployment may be told; runs from Python and the command line may anything.

    Attributes
    ----------
    input_roots, output_roots : tuple of pathlib.Path
        Folders below which input files, and products, have to be; in the environment separated
        as in ``PATH``. Default: the folder in which the run works.
    allow_hooks : bool
        Whether ``pre_hooks`` and ``post_hooks`` may be given, which run code and commands.
    allow_overrides : bool
        Whether ``override_<type>`` may be given, within `input_roots`.
    allow_config_files : bool
        Whether parameter files may be named, within `input_roots`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    input_roots: Folders = (Path(),)
    output_roots: Folders = (Path(),)
    allow_hooks: bool = False
    allow_overrides: bool = False
    allow_config_files: bool = False

    @field_validator("input_roots", "output_roots", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.split(os.pathsep) if isinstance(value, str) else value

    def hides(self, name: str) -> bool:
        """Whether a parameter has no place in a deployment's form."""
        switch = switch_of(name)
        return name in ("class", "name") or (switch is not None and not getattr(self, switch))


def switch_of(name: str) -> str | None:
    """Name the setting that allows a parameter which becomes code or file access."""
    if name in ("pre_hooks", "post_hooks"):
        return "allow_hooks"
    if name.startswith("override_"):
        return "allow_overrides"
    return "allow_config_files" if name == "config_file" else None
