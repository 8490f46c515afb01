"""Words of a command line -> parameters, as the specification of a step reads them.

All commands read ``--<parameter>=VALUE`` and ``--steps.<step>.<parameter> VALUE``: lists with
commas where the parameter is a list, ``None`` for None, quotes around what is meant literally.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from configobj import ConfigObj, ConfigObjError

from ..exceptions import UsageError, nearest, reason

_LIST_CHECK = re.compile(r"\s*\w*(list|tuple)\b")
_PATH_CHECK = re.compile(r"\s*(input_file|output_file)\b")
_OPTION = re.compile(r"-+[^\d.]")
_QUOTED = re.compile(r"""(["'])(?P<inside>(?:(?!\1).)*)\1""", re.DOTALL)


class CommandParser(argparse.ArgumentParser):
    """Reads the options of a command, and sets aside the parameters of steps among them.

    It says what is wrong with a command line in one line, as an exception.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._takes_value: dict[str, bool] = {}
        super().__init__(*args, **kwargs)

    def add_argument(self, *names: Any, **kwargs: Any) -> argparse.Action:
        """Add an option, and remember its names."""
        action = super().add_argument(*names, **kwargs)
        self._takes_value |= dict.fromkeys(action.option_strings, action.nargs != 0)
        return action

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing every option there is."""
        raise UsageError(f"{message} (see --help)")

    def parse(
        self, words: Sequence[str], parameters: Collection[str] = ()
    ) -> tuple[argparse.Namespace, dict[str, str]]:
        """Read a command line.

        Names among `parameters` mean a parameter of a step even where the command has such an
        option.
        """
        own: list[str] = []
        texts: dict[str, str] = {}
        left = iter(words)
        for word in left:
            option, equals, text = word.partition("=")
            if word == "--":
                own += [word, *left]
            elif not word.startswith("--"):
                own.append(word)
            elif self._is_own(option, equals, parameters):
                own.append(option.replace("_", "-") + equals + text)
            else:
                if not equals:
                    text = next(left, "--")
                    if _OPTION.match(text):
                        hint = nearest(option, self._takes_value)
                        self.error(f"argument {option}: expected a value{hint}")
                texts[option.removeprefix("--").replace("-", "_")] = text
        return self.parse_intermixed_args(own), texts

    def _is_own(self, option: str, equals: str, parameters: Collection[str]) -> bool:
        """Tell whether an option, or an abbreviation, is the command's: - and _ are the same."""
        name = option.removeprefix("--").replace("-", "_")
        if name in parameters:
            return False
        option = option.replace("_", "-")
        # An option without a value is a parameter where it is given one.
        might = {each for each, takes in self._takes_value.items() if takes or not equals}
        own = [each for each in might if each.startswith(option)]
        if option in self._takes_value:
            return option in own
        alike = [f"--{each}" for each in parameters if _abbreviates(name, each)]
        if own and alike:
            self.error(f"ambiguous option: {option} could match {', '.join(own + alike)}")
        return bool(own)


def count(text: str) -> int:
    """Read a whole number from 1, for an option of a command."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, not {text!r}")
    return int(text)


def read_parameters(texts: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what a command line gives into parameters of a step."""
    return typed(nested(full_names(texts, dict(leaves(spec)))), spec)


def full_names(texts: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Complete abbreviated names of parameters; names that are unknown stay as they are."""
    full: dict[str, str] = {}
    for name, text in texts.items():
        matches = [] if name in known else [each for each in known if _abbreviates(name, each)]
        if len(matches) > 1:
            raise UsageError(f"ambiguous option: --{name} could match --{', --'.join(matches)}")
        full[matches[0] if matches else name] = text
    return full


def typed(values: Mapping[str, Any], spec: Any, prefix: str = "") -> dict[str, Any]:
    """Read text where the configspec asks for a list, a path or, as ``None``, for no value.

    Paths are relative to the working directory. Numbers stay text: validation reads them.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        check = spec.get(name) if isinstance(spec, Mapping) else None
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            found[name] = typed(value, check, f"{path}.")
        elif isinstance(value, str) and isinstance(check, str):
            found[name] = _value(path, value, check)
        else:
            found[name] = value
    return found


def leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through a tree of parameters: the dotted path of each, and what is there."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make a tree of parameters of what is given by dotted paths."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UsageError(f"--{path}: {section} already has a value of its own")
        place[name] = value
    return tree


def _abbreviates(short: str, name: str) -> bool:
    return name.startswith(short) and "." not in name[len(short) :]


def _value(path: str, value: str, check: str) -> Any:
    if value == "None":
        return None
    if _LIST_CHECK.match(check):
        return _list(path, value)
    if quoted := _QUOTED.fullmatch(value):
        value = quoted["inside"]
    if value and (_PATH_CHECK.match(check) or path.endswith(".config_file")):
        return str(Path(value).absolute())
    return value


def _list(path: str, text: str) -> Any:
    try:
        items = ConfigObj([f"value = {text}"], interpolation=False)["value"]
    except ConfigObjError as error:
        raise UsageError(f"--{path} {text}: expected a list, a,b,…: {reason(error)}") from error
    return items if isinstance(items, list) else [items] if items else []
