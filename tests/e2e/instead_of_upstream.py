"""Puts this package in the place of upstream's stpipe, for what jwst and romancal use of it.

Only for a process of its own: it has to happen before jwst is imported. The model library is
upstream's, loaded from its file; it is no part of Step and Pipeline.
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import crds

import stpipe_prefect
import stpipe_prefect.pipeline
from stpipe_prefect.datamodel import is_model
from stpipe_prefect.exceptions import ParameterError, StpipeExitException
from stpipe_prefect.parameters.schemas import resource_mappings
from stpipe_prefect.references.context import resolve_context
from stpipe_prefect.references.lookup import cache_path, checked_file, reference_files
from stpipe_prefect.step import preserve_step_pars


def install() -> None:
    """Make ``import stpipe`` mean this package."""
    _module("stpipe", Step=stpipe_prefect.Step, Pipeline=stpipe_prefect.Pipeline, __path__=[])
    _module("stpipe.step", Step=stpipe_prefect.Step, preserve_step_pars=preserve_step_pars)
    _module("stpipe.pipeline", Pipeline=stpipe_prefect.Pipeline)
    _module("stpipe.exceptions", StpipeExitException=StpipeExitException)
    _module("stpipe.config_parser", ValidationError=ParameterError)
    _module("stpipe.datamodel", AbstractDataModel=_AnyModel)
    _module(
        "stpipe.crds_client",
        check_reference_open=checked_file,
        get_context_used=resolve_context,
        get_reference_file=_reference_file,
        get_svn_version=lambda: crds.__version__,
        reference_uri_to_cache_path=cache_path,
        get_multiple_reference_paths=reference_files,
    )
    stpipe_prefect.pipeline.reference_files = _many_reference_files
    _module("stpipe._integration", get_resource_mappings=resource_mappings)  # asdf's entry point
    file = Path(str(distribution("stpipe").locate_file("stpipe/library.py")))
    spec = spec_from_file_location("stpipe.library", file)
    assert spec is not None and spec.loader is not None
    library = module_from_spec(spec)
    sys.modules["stpipe.library"] = library
    spec.loader.exec_module(library)


class _Structural(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return is_model(instance)


class _AnyModel(metaclass=_Structural):
    """What upstream's library asks its members to be."""


def _reference_file(parameters: Any, reference_type: str, observatory: str) -> str:
    return reference_files(parameters, [reference_type], observatory)[reference_type]


def _many_reference_files(parameters: Any, types: Any, observatory: str) -> dict[str, str]:
    """Ask where tests of jwst put something else to be asked."""
    client: Any = sys.modules["stpipe.crds_client"]
    answer: dict[str, str] = client.get_multiple_reference_paths(parameters, types, observatory)
    return answer


def _module(name: str, **members: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
