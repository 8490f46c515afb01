"""Selecting exposures by what their headers and file names say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

Facts = Mapping[str, Any]
"""What is known of an exposure, by the names asked for; without those it does not have."""


class Selector:
    """What is asked of an exposure: values of keywords, of each one of several.

    Parameters
    ----------
    when : mapping
        A value, pattern or list of these by keyword.
    """

    def __init__(self, when: Mapping[str, Any]) -> None:
        self._wanted = {
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in when.items()
        }

    def __str__(self) -> str:
        said = (f"{name}={'|'.join(map(str, values))}" for name, values in self._wanted.items())
        return ", ".join(said)

    @property
    def keywords(self) -> Collection[str]:
        """What it asks for."""
        return self._wanted.keys()

    def holds(self, facts: Facts) -> bool:
        """Tell whether an exposure is one of those."""
        return all(
            name in facts and any(_is(facts[name], value) for value in values)
            for name, values in self._wanted.items()
        )

    def found(self, facts: Facts) -> str:
        """Say what an exposure has instead."""
        said = (f"{name}={facts.get(name, 'nothing')}" for name in self._wanted)
        return ", ".join(said)


def _is(found: Any, wanted: Any) -> bool:
    """Compare a value of a header: numbers as such, text without regard to case."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return _text(found)[:1] == _text(wanted)[:1]  # T, true, t
    if isinstance(wanted, (int, float)):
        try:
            return bool(float(found) == wanted)
        except (TypeError, ValueError):
            return False
    return fnmatchcase(_text(found), _text(wanted))


def _text(value: Any) -> str:
    return str(value).strip().casefold()
