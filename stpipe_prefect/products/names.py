"""The names of products: ``basename_components_suffix.ext``."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from ..exceptions import OutputError
from ..remote.urls import is_url, local_path


def output_name(
    basepath: str,
    *,
    extension: str | None,
    suffix: str | bool,
    remove_suffix: Callable[[str], tuple[str, str | None]],
    components: Mapping[str, Any],
    name_format: str | bool | None = None,
    component_format: str = "",
    separator: str = "_",
) -> str:
    """Name a product after the file it was made of.

    Parameters
    ----------
    basepath : str
        A file name; folder and extension do not count.
    extension : str or None
        With or without the dot; if None, that of `basepath`.
    suffix : str or False
        What the product is, such as ``"rate"``; takes the place of a known suffix. False
        leaves the name as it is.
    remove_suffix : callable
        Splits a known suffix off a name; returns the rest and what stood between them.
    components : mapping
        Further parts, in this order; those that are None are left out.
    name_format : str or False, optional
        A template with any of the fields ``basename``, ``components``, ``suffix_sep``,
        ``suffix``, ``ext`` and the names of the components. If False, the name in `basepath`
        is the template.
    component_format : str
        A template for the components.
    separator : str
        Between the parts.

    Raises
    ------
    OutputError
        Nothing says which extension it is to have.
    """
    path = Path(basepath)
    basename, extension = path.stem, extension or path.suffix
    if not extension:
        raise OutputError(f"The product of {basepath} has no file type: set output_ext")
    if name_format is False:
        name_format = basename + ".{ext}"
    between: str | None = ""
    if suffix is not False:
        basename, between = remove_suffix(basename)
        between = separator if between is None else between
    given = {name: str(value) for name, value in components.items() if value is not None}
    fields = {
        "basename": basename,
        "components": _join(given, component_format, separator),
        "suffix_sep": between,
        "suffix": suffix or "",
        "ext": extension.removeprefix("."),
    }
    if name_format is None:
        name_format = "{basename}{components}{suffix_sep}{suffix}.{ext}"
    return str(name_format).format_map(defaultdict(str, given | fields))


def _join(components: Mapping[str, str], component_format: str, separator: str) -> str:
    if component_format and components:
        fields = {name for _, name, _, _ in Formatter().parse(component_format)}
        unused = [components[name] for name in sorted(components.keys() - fields)]
        return separator.join([component_format.format_map(defaultdict(str, components)), *unused])
    return "".join(separator + value for value in components.values())


def shortened(name: str, longest: int) -> str:
    """Cut a name that has too many bytes; what it ends with instead tells it from others."""
    encoded = os.fsencode(name)
    if len(encoded) <= longest:
        return name
    end = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
    return encoded[: longest - len(end)].decode(errors="ignore") + end


def in_folder(folder: str, name: str) -> str:
    """Put a name into a folder given with ``~`` or environment variables."""
    return os.path.join(expanded(folder), name)  # noqa: PTH118 - keeps "" and "./" as given


def folder_path(folder: str | Path) -> Path:
    """Make a path of a folder that a user names, with ``~`` or environment variables.

    Of a URL, that which stands for it in this process.
    """
    if is_url(folder):
        return local_path(str(folder))
    return Path(expanded(str(folder)))


def expanded(folder: str) -> str:
    """Replace ``~`` and environment variables in the name of a folder."""
    return os.path.expandvars(os.path.expanduser(folder))  # noqa: PTH111 - must stay text
