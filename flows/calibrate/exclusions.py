"""Inputs that a campaign file leaves out, and why; those that failed, written there."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError, UsageError, nearest, reason

from .associations import write_file

if TYPE_CHECKING:
    from .campaign import Campaign


class Exclusions:
    """Names and patterns of inputs to leave out, each with the reason.

    Parameters
    ----------
    reasons : mapping of str to str
        By the name of a file, with or without its extension, or a pattern of it.
    file : str
        Where they stand, for messages.
    """

    def __init__(self, reasons: Mapping[str, str] | None = None, file: str = "") -> None:
        self._reasons = reasons or {}
        self._file = file

    def reason(self, name: str) -> str | None:
        """Say why an input is left out; None if it is not."""
        found = (why for pattern, why in self._reasons.items() if _matches(pattern, name))
        return next(found, None)

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Give those of the inputs that are left out, and why."""
        found = ((path, self.reason(path.name)) for path in paths)
        return {path: why for path, why in found if why is not None}

    def refused(self, paths: Iterable[Path]) -> dict[Path, InputError]:
        """Refuse associations of which a member is left out."""
        if not self._reasons:
            return {}
        return {
            path: error for path in paths if is_association(path) and (error := self._refusal(path))
        }

    def _refusal(self, path: Path) -> InputError | None:
        try:
            members = read_association(path).members
        except InputError:  # which says the same where the association is read for its job
            return None
        for name in members:
            file = PurePath(name).name
            for pattern, why in self._reasons.items():
                if _matches(pattern, file) or _is_made_of(pattern, file):
                    return InputError(
                        f"{path}: its member {name} is excluded ({why}) by {self._file}: take it "
                        "out of the association, or exclude this as well"
                    )
        return None

    def unused(self, paths: Iterable[Path]) -> list[str]:
        """Say which patterns match none of the inputs."""
        names = [path.name for path in paths]
        return [
            f"{self._file}: exclude: {pattern!r} matches none of the inputs"
            f"{'' if has_magic(pattern) else nearest(pattern, names)}"
            for pattern in self._reasons
            if not any(_matches(pattern, name) for name in names)
        ]


def failures(campaign: Campaign) -> dict[str, str]:
    """Name the inputs that failed by themselves, and why; not those that only needed them."""
    needs = {job.input.name: {path.name for path in job.needs} for job in campaign.jobs}
    failed = {each.name: each.failure for each in campaign.results if each.failure}
    return {
        name: why.removeprefix(f"{name}: ")
        for name, why in failed.items()
        if failed.keys().isdisjoint(needs.get(name, ()))
    }


def write_exclusions(file: Path, reasons: Mapping[str, str]) -> int:
    """Add inputs to the table ``[exclude]`` of a file, and leave all else in it as it is.

    Parameters
    ----------
    file : pathlib.Path
        A campaign file, or any other of TOML; made if it is not there.
    reasons : mapping of str to str
        By the name of the input.

    Returns
    -------
    int
        How many were added: those that are there are kept as they are.

    Raises
    ------
    UsageError
        The file cannot be read, or has these in no table that can be added to.
    """
    try:
        text = file.read_bytes().decode() if file.exists() else ""
        before = tomllib.loads(text.removeprefix(_MARK))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: not a readable TOML file: {reason(error)}") from error
    known = before.get("exclude", {})
    added = {name: why for name, why in reasons.items() if name not in known}
    if not added:
        return 0
    end = "\r\n" if "\r\n" in text else "\n"
    lines = "".join(f"{_quoted(name)} = {_quoted(why)}{end}" for name, why in added.items())
    if header := _HEADER.search(text):
        line = header[0] if header[0].endswith("\n") else header[0] + end
        made = text[: header.start()] + line + lines + text[header.end() :]
    else:
        gap = end * (2 - text.endswith("\n")) if text else ""
        made = f"{text}{gap}[exclude]{end}{lines}"
    expected = before | {"exclude": known | added}
    if _parsed(made.removeprefix(_MARK)) != expected:
        raise UsageError(f"{file}: exclude: expected a table, [exclude], to add failed inputs to")
    write_file(file, made.encode())
    return len(added)


_MARK = "\ufeff"
"""The byte order mark with which editors on Windows begin a file."""

_HEADER = re.compile(r"^\ufeff?[ \t]*\[[ \t]*exclude[ \t]*\][ \t]*(#.*)?(\r?\n|\Z)", re.MULTILINE)


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(PurePath(name).stem, pattern)


def _is_made_of(file: str, product: str) -> bool:
    """Tell whether a product is of an exposure, by all of its name but the suffix."""
    return not has_magic(file) and _root(file) == _root(product)


def _root(name: str) -> str:
    return PurePath(name).stem.rpartition("_")[0]
