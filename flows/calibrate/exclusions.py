"""Inputs that a campaign file leaves out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePath

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError, nearest


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


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(PurePath(name).stem, pattern)


def _is_made_of(file: str, product: str) -> bool:
    """Tell whether a product is of an exposure, by all of its name but the suffix."""
    return not has_magic(file) and _root(file) == _root(product)


def _root(name: str) -> str:
    return PurePath(name).stem.rpartition("_")[0]
