"""Reading the configspec of a Step class: what parameters there are, of which type.

The format is configobj's own: ``name = check(default=...)  # help``. A class inherits the
parameters of its bases and may declare any of them again.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from configobj import ConfigObj, ConfigObjError

from ..exceptions import ParameterError, reason
from .layers import merge, new_config

_IDENTIFIER = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")


def own_spec(step_class: type) -> ConfigObj | None:
    """Read what a class itself declares, in ``spec`` or in ``<class name>.spec`` beside it.

    It is parsed once, and is not to be changed.
    """
    text = step_class.__dict__.get("spec")
    if text is None:
        file = _spec_file(step_class)
        if file is None:
            return None
        text = file.read_text(encoding="utf-8")
    try:
        return _parsed(text)
    except ConfigObjError as error:
        raise ParameterError(
            f"{step_class.__qualname__}: its spec cannot be read: {reason(error)}"
        ) from error


def merged_spec(step_class: type) -> ConfigObj:
    """Read what a class and its bases declare, the class last."""
    spec = new_config()
    for base in reversed(step_class.mro()):
        own = own_spec(base)
        if own is not None:
            merge(spec, own)
    return spec


def override_name(reference_type: str) -> str:
    """Name the parameter that overrides a reference type."""
    if not _IDENTIFIER.fullmatch(reference_type):
        raise ParameterError(
            f"{reference_type!r} is not a reference type: expected letters, digits and underscores"
        )
    return f"override_{reference_type}"


def add_override(spec: Any, reference_type: str) -> None:
    """Declare the parameter that overrides a reference type."""
    name = override_name(reference_type)
    spec[name] = "is_string_or_datamodel(default=None)"
    spec.inline_comments[name] = f"# Override the {reference_type} reference file"


def help_text(spec: Any, name: str) -> str:
    """Take the help for one parameter from the comment behind it."""
    return (spec.inline_comments.get(name) or "").lstrip("# ").strip()


@cache
def _parsed(text: str) -> ConfigObj:
    # Lines, because configobj takes a plain string for a file name.
    return ConfigObj(
        dedent(text.strip()).splitlines(),
        raise_errors=True,
        list_values=False,
        interpolation=False,
    )


def _spec_file(step_class: type) -> Path | None:
    try:
        source = inspect.getfile(step_class)
    except (TypeError, OSError):  # built in, or typed at a prompt
        return None
    return _file_beside(source, f"{step_class.__name__}.spec")


@cache
def _file_beside(source: str, name: str) -> Path | None:
    file = Path(source).with_name(name)
    return file if file.is_file() else None
