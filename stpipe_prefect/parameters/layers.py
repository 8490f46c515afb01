"""Merging layers of parameters: each later one says more precisely what is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from configobj import ConfigObj, Section

DISABLE_VARIABLE = "STPIPE_DISABLE_CRDS_STEPPARS"


def new_config(values: Mapping[str, Any] | None = None) -> ConfigObj:
    """Make an empty tree of parameters, or one that holds `values`."""
    # Without interpolation: "%(x)s" in a value means just that.
    config = ConfigObj(interpolation=False)
    merge(config, values or {})
    return config


def merge(into: Any, new: Mapping[str, Any]) -> None:
    """Put one tree of parameters over another.

    Parameters
    ----------
    into : configobj.Section
        Changed in place.
    new : mapping
        Its dicts and Sections are taken for sections, no other mapping: a data model given
        as a reference override may be one. Comments come along.
    """
    inline_comments = getattr(new, "inline_comments", {})
    for name, value in new.items():
        if isinstance(value, (dict, Section)):
            if not isinstance(into.get(name), Section):
                into[name] = {}
            merge(into[name], value)
        else:
            set_value(into, name, value)
            into.inline_comments[name] = inline_comments.get(name)


def set_value(section: Any, name: str, value: Any) -> None:
    """Set one parameter to any object, without configobj looking into it; a path to its text."""
    section.__setitem__(name, with_text_paths(value), unrepr=True)


def with_text_paths(value: Any) -> Any:
    """Put text in the place of paths, also within lists: declarations know no other files."""
    if isinstance(value, PurePath):
        return str(value)
    return type(value)(map(with_text_paths, value)) if type(value) in (list, tuple) else value


def crds_parameters_disabled(default: bool | str | None = None) -> bool:
    """Tell whether parameter files from CRDS are switched off.

    Parameters
    ----------
    default : bool or str, optional
        True or ``"true"``, ``"t"``, ``"yes"``, ``"y"`` for yes. Where nothing is given, or
        False, the environment variable ``STPIPE_DISABLE_CRDS_STEPPARS`` says.

    Raises
    ------
    ValueError
        It is neither.
    """
    truths = ("true", "True", "t", "yes", "y")
    if default:
        if not isinstance(default, (bool, str)):
            raise ValueError(f"expected true or false, not {default!r}")
        return default is True or default in truths
    return os.environ.get(DISABLE_VARIABLE, "") in truths


@contextmanager
def without_crds_parameters(disabled: bool) -> Iterator[None]:
    """Switch parameter files from CRDS off within the block, if asked to."""
    before = os.environ.get(DISABLE_VARIABLE)
    if disabled:
        os.environ[DISABLE_VARIABLE] = "true"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(DISABLE_VARIABLE, None)
        else:
            os.environ[DISABLE_VARIABLE] = before
