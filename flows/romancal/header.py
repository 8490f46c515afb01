"""Looking at an ASDF file of Roman, before any pipeline does: what it is, and that it is whole."""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.calibrate.inputs import check_is_file
from flows.calibrate.selectors import Facts
from stpipe_prefect.exceptions import InputError, reason
from stpipe_prefect.paths import misread_by_asdf

SHORT = {"filter": "optical_element"}

_END_OF_TREE = re.compile(rb"^\.\.\.\r?\n", re.MULTILINE)
_BLOCK = b"\xd3BLK"


def read_exposure(path: Path) -> dict[str, Any]:
    """Read the metadata of an exposure.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    dict
        What is under ``roman.meta``, values as text.

    Raises
    ------
    InputError
        It is missing, of another format or telescope, or cut short.
    """
    check_is_file(path)
    if problem := misread_by_asdf(path):
        raise InputError(f"{path}: {problem}: rename it")
    try:
        _check_is_whole(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    import asdf.util

    try:
        with path.open("rb") as stream:  # asdf takes a path for a URI
            tree = asdf.util.load_yaml(stream)
        meta: dict[str, Any] = tree["roman"]["meta"]
        telescope = meta["telescope"]
    except Exception as error:  # of whatever reads the YAML
        raise InputError(
            f"{path}: not a Roman exposure: expected roman.meta.telescope "
            f"({type(error).__name__}: {reason(error)})"
        ) from error
    if telescope != "ROMAN":
        raise InputError(f"{path}: telescope is {telescope}, expected ROMAN")
    return meta


def facts(path: Path, keywords: Collection[str] | None = None) -> Facts:
    """Say what the metadata of an exposure have for keywords, or all; see `facts_of`.

    Raises
    ------
    InputError
        See `read_exposure`.
    """
    meta = read_exposure(path)
    return facts_of(path, meta, (*SHORT, *named(meta, "")) if keywords is None else keywords)


def facts_of(path: Path, meta: Mapping[str, Any], keywords: Collection[str]) -> Facts:
    """Take from metadata what they have for keywords: paths, or their ends.

    Raises
    ------
    InputError
        There are several of that name.
    """
    values: dict[str, str] = {}
    for name in keywords:
        found = named(meta, name)
        if len(set(found.values())) > 1:
            raise InputError(f"{path}: {name}: several of that name: {', '.join(found)}")
        values |= dict.fromkeys([name] if found else [], next(iter(found.values()), ""))
    return values


def named(meta: Mapping[str, Any], name: str) -> dict[str, str]:
    """Find what is at a path within metadata, or at paths that end so; all if there is no name."""
    ending = f".{SHORT.get(name.lower(), name.lower())}" if name else ""
    return {place: value for place, value in _leaves(meta) if f".{place}".endswith(ending)}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _check_is_whole(path: Path) -> None:
    """See that the tree and all blocks that follow it are there to their last byte."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: not an ASDF file: it is empty")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        if content[:5] != b"#ASDF":
            raise InputError(f"{path}: not an ASDF file: it does not start with #ASDF")
        tree = _END_OF_TREE.search(content)
        if tree is None:
            raise InputError(f"{path}: truncated within its tree: {size} bytes")
        expected = _end_of_blocks(content, tree.end())
    if size < expected:
        raise InputError(f"{path}: truncated: {size} bytes, its blocks declare {expected}")


def _end_of_blocks(content: mmap.mmap, start: int) -> int:
    """Go from block to block by their headers.

    Source: ASDF Standard, "Low-level file layout",
    https://asdf-standard.readthedocs.io/en/latest/file_layout.html: magic, size of the rest of
    the header (2 bytes), flags (4), compression (4), allocated size (8), all big-endian.
    """
    while content[start : start + len(_BLOCK)] == _BLOCK:
        header = start + 6
        if header + 16 > len(content):
            return header + 16
        allocated = int.from_bytes(content[header + 8 : header + 16])
        start = header + int.from_bytes(content[start + 4 : header]) + allocated
    return start
