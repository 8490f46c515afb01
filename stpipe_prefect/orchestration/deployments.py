"""A deployment is not a shell: its settings say which parameters its runs may have."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from configobj.validate import bool_dict
from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..parameters.resolution import Layer, Source
from ..parameters.validation import raise_problems
from ..products.names import folder_path
from ..provenance.inputs import input_files, product_names
from ..remote.urls import as_urls, is_url

FLOW_RUN = Source("flow run")

RUN_OF_DEPLOYMENT = "PREFECT__FLOW_RUN_ID"
"""Variable in the environment of every process that a worker or runner starts for a flow run.

Prefect does not document it. It is here, as `.workarounds` imports prefect.
"""

PREFIX = "STPIPE_PREFECT_"

Folders = Annotated[tuple[Path | str, ...], NoDecode]

WRITTEN = ("output_dir", "output_file", "catalog_path", "report")
"""Parameters that say where a step writes; so do those named ``save_...`` that are no switches."""

READABLE = ("input_roots", "output_roots")
"""A stage reads what the one before has written."""


class DeploymentSettings(BaseSettings):
    """What runs of a deployment may set; runs from Python and the command line may set all.

    Attributes
    ----------
    input_roots, output_roots : tuple of pathlib.Path or str
        Folders, or their URLs, below which input files, and products, have to be; in the
        environment separated as in ``PATH``. Default: the folder in which the run works.
    allow_hooks : bool
        Whether ``pre_hooks`` and ``post_hooks`` may be given, which run code and commands.
    allow_overrides : bool
        Whether ``override_<type>`` may be given, within `input_roots`.
    allow_config_files : bool
        Whether parameter files may be named, within `input_roots`.
    allow_classes : bool
        Whether classes and functions may be named, such as those of steps to insert.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    input_roots: Folders = (Path(),)
    output_roots: Folders = (Path(),)
    allow_hooks: bool = False
    allow_overrides: bool = False
    allow_config_files: bool = False
    allow_classes: bool = False

    @field_validator("input_roots", "output_roots", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        named = re.split(f"{os.pathsep}(?!//)", value) if isinstance(value, str) else value
        return [each if is_url(each) else Path(each) for each in named]

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


def in_deployment() -> bool:
    """Tell whether this is a run of a deployment, or a flow within one.

    Its parameters may then come from anybody who reaches the server; otherwise they come from the
    person who started this process.
    """
    if RUN_OF_DEPLOYMENT in os.environ:
        return True
    if "prefect" not in sys.modules:  # without which there is no flow run
        return False
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return run is not None and run.deployment_id is not None


def check_deployable(title: str, inputs: Iterable[Any], parameters: Mapping[str, Any]) -> None:
    """Refuse parameters, one line for each, that a run of a deployment may not have."""
    if in_deployment():
        files = [Layer(FLOW_RUN, {"input": each}) for each in inputs]
        check_allowed(title, [*files, Layer(FLOW_RUN, parameters)])


def check_classes(title: str, paths: Iterable[str]) -> None:
    """Refuse classes and functions that a run of a deployment names, unless it may.

    Those that are there as objects were chosen by whoever wrote the flow.
    """
    if in_deployment() and not DeploymentSettings().allow_classes:
        raise_problems(
            title,
            (
                f"{path} is not allowed in a deployment; {PREFIX}ALLOW_CLASSES=true in the "
                "worker's environment allows classes and functions to be named"
                for path in paths
            ),
        )


def products_folder(named: str | Path | None) -> Path:
    """Give the folder for products: that which is named, or the first that a run may write to.

    Without a name that is the current folder, and in a deployment the first of
    ``STPIPE_PREFECT_OUTPUT_ROOTS``.
    """
    if named or not in_deployment():
        return folder_path(named or ".")
    return folder_path(DeploymentSettings().output_roots[0])


def check_association(title: str, data: Any, folder: Path) -> None:
    """Refuse an association of a deployment's run that leads out of the folders allowed."""
    if in_deployment():
        raise_problems(title, _of_association(data, folder, DeploymentSettings()))


def check_allowed(title: str, layers: Iterable[Layer]) -> None:
    """Refuse what a deployment may not set, in the run itself, in parameter files or in CRDS."""
    settings = DeploymentSettings()
    raise_problems(title, _problems(settings, layers))


def _problems(settings: DeploymentSettings, layers: Iterable[Layer]) -> Iterator[str]:
    for layer in layers:
        source = f" (from {layer.source})" if layer.source.file else ""
        for problem in _of_section(layer.values, settings, from_file=layer.source.file is not None):
            yield f"{problem}{source}"


def _of_association(data: Any, folder: Path, settings: DeploymentSettings) -> Iterator[str]:
    for file in input_files(data, folder):
        yield from _outside("input", str(file), READABLE, settings)
    for name in product_names(data):
        if "/" in name:
            yield f"product {name!r} of the association: expected a name without a folder"


def _of_section(
    values: Mapping[str, Any], settings: DeploymentSettings, *, from_file: bool, prefix: str = ""
) -> Iterator[str]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        switch = switch_of(name)
        if isinstance(value, Mapping):
            yield from _of_section(value, settings, from_file=from_file, prefix=f"{path}.")
        elif value in (None, "", []) or (from_file and name in ("class", "name")):
            continue
        elif name == "class":
            yield f"{path} cannot be set in a deployment"
        elif switch is not None and not getattr(settings, switch):
            yield (
                f"{path} is not allowed in a deployment; "
                f"{PREFIX}{switch.upper()}=true in the worker's environment allows it"
            )
        elif name == "input":
            yield from _outside(path, str(value), READABLE, settings)
        elif name in WRITTEN or (name.startswith("save_") and _is_name(value)):
            yield from _outside(path, str(value), ("output_roots",), settings)
        elif name == "crds_context" and "/" in str(value):
            yield f"{path} = {value!r}: expected the name of a context"
        elif switch != "allow_hooks":
            for text in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(text, str) and "/" in text and not text.startswith("crds://"):
                    yield from _outside(path, text, READABLE, settings)


def _is_name(value: Any) -> bool:
    """Whether a value is the name of a file, and not a switch, which may be given as text."""
    return isinstance(value, str) and value.lower() not in bool_dict


def _outside(
    path: str, value: str, roots: tuple[str, ...], settings: DeploymentSettings
) -> Iterator[str]:
    """Find a path that leads out of the folders allowed, by whatever detour or link."""
    named = [folder for each in roots for folder in getattr(settings, each)]
    folders = list(dict.fromkeys(_place(folder) for folder in named))
    allowed = dict.fromkeys(str(each) if is_url(each) else str(_place(each)) for each in named)
    value = as_urls(value)
    file = _place(value)
    # A part of a product's name, such as its suffix, does not start in the folder of the run.
    climbs = ".." in Path(value).parts and (is_url(value) or path not in ("input", "output_dir"))
    if climbs or not any(file.is_relative_to(folder) for folder in folders):
        yield (
            f"{path} = {value!r} is not below {' or '.join(allowed)}; "
            f"{PREFIX}{roots[0].upper()} in the worker's environment lists the allowed folders"
        )


def _place(named: str | Path) -> Path | PurePosixPath:
    """Give what can be compared of a folder, file or URL: no detours or links."""
    return PurePosixPath(named) if is_url(named) else folder_path(named).resolve()
