"""Holding parameter values against the configspec of a Step, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any

from configobj import Section
from configobj.validate import (
    Validator,
    VdtMissingValue,
    VdtParamError,
    VdtTypeError,
    VdtUnknownCheckError,
)

from ..datamodel import is_model
from ..exceptions import ParameterError, nearest, reason
from .layers import set_value, with_text_paths


def check_parameters(step_class: Any, given: Mapping[str, Any]) -> None:
    """Refuse parameters a Step or Pipeline does not have, and values it does not allow.

    Every problem is one line of the error. Text is accepted wherever it reads as the type asked
    for.
    """
    title = step_class.class_alias or step_class.__name__
    raise_problems(title, _Checker(stpipe_checks()).given(step_class.load_spec_file(), given))


def validate(config: Any, spec: Mapping[str, Any], *, title: str, folder: str = "") -> None:
    """Give every parameter of a configspec its value, of the type it asks for.

    The values are completed in place with defaults, and converted from text; relative paths start
    in `folder`. Every problem is one line of the error.
    """
    raise_problems(title, _Checker(stpipe_checks() | path_checks(folder)).fill(spec, config))


def converted(values: Mapping[str, Any], spec: Mapping[str, Any], *, title: str) -> dict[str, Any]:
    """Convert the values a step holds to the types of its configspec; nothing is added."""
    checker = _Checker(stpipe_checks())
    result: dict[str, Any] = {}
    raise_problems(title, checker.given(spec, values, result))
    return result


def raise_problems(title: str, problems: Iterator[str]) -> None:
    """Raise what was found wrong, one line for each problem, if anything was."""
    found = list(problems)
    if found:
        raise ParameterError("\n".join(f"{title}: {problem}" for problem in found))


class _Checker:
    """Goes through a configspec and says what is wrong, parameter by parameter."""

    def __init__(self, checks: dict[str, Callable[..., Any]]) -> None:
        self._validator = Validator(checks)
        self._repr = Repr()
        self._repr.maxstring = self._repr.maxother = 80

    def given(
        self,
        spec: Mapping[str, Any],
        values: Mapping[str, Any],
        result: dict[str, Any] | None = None,
        prefix: str = "",
    ) -> Iterator[str]:
        """Check the values that are given and no others; `result` collects them, converted."""
        result = {} if result is None else result
        for name, value in values.items():
            path = f"{prefix}{name}"
            if name not in spec:
                yield _unknown(path, name, spec)
            elif not isinstance(spec[name], Mapping):
                answer = self._check(path, spec[name], value)
                if isinstance(answer, _Problem):
                    yield answer
                else:
                    result[name] = answer
            elif isinstance(value, Mapping):
                result[name] = {}
                yield from self.given(spec[name], value, result[name], f"{path}.")
            else:
                yield _section(path)

    def fill(self, spec: Mapping[str, Any], config: Any, prefix: str = "") -> Iterator[str]:
        """Check everything the configspec names, and put values in their place."""
        for name in config:
            if name not in spec:
                yield _unknown(f"{prefix}{name}", name, spec)
        for name, check in spec.items():
            path = f"{prefix}{name}"
            if not isinstance(check, Mapping):
                answer = self._check(path, check, config.get(name), missing=name not in config)
                if isinstance(answer, _Problem):
                    yield answer
                else:
                    set_value(config, name, answer)
            elif isinstance(config.setdefault(name, {}), Mapping):
                yield from self.fill(check, config[name], f"{path}.")
            else:
                yield _section(path)

    def _check(self, path: str, check: str, value: Any, missing: bool = False) -> Any:
        value = with_text_paths(value)
        try:
            if isinstance(value, (dict, Section)):  # a list check would make a list of its keys
                raise VdtTypeError(value)
            return self._validator.check(check, value, missing=missing)
        except VdtMissingValue:
            return _Problem(f"{path} is missing: expected {check}")
        except (VdtUnknownCheckError, VdtParamError) as error:
            return _Problem(f"{path}: its specification {check} cannot be used: {reason(error)}")
        except _PathError as error:
            return _Problem(f"{path} = {self._shown(value)}: {error}")
        except Exception:  # a check may trip over any object that a caller passes
            return _Problem(f"{path} = {self._shown(value)} is not allowed: expected {check}")

    def _shown(self, value: Any) -> str:
        try:
            return " ".join(self._repr.repr(value).split())
        except ValueError:  # more digits than Python is ready to write
            return f"<{type(value).__name__}>"


class _Problem(str):
    """What is wrong with one parameter, told apart from a value that is text."""


class _PathError(Exception):
    """A path that is a path, but of no use."""


def _unknown(path: str, name: str, spec: Mapping[str, Any]) -> str:
    kind = "step" if path.rpartition(".")[0] == "steps" else "parameter"
    return f"there is no {kind} {path!r}{nearest(str(name), list(spec))}"


def _section(path: str) -> str:
    return f"{path} is a section: give its parameters as {path}.<parameter>"


def stpipe_checks() -> dict[str, Callable[..., Any]]:
    """Name the checks that stpipe's configspecs use beside those of configobj.

    Source: stpipe documentation, "Parameter specification", for ``input_file``,
    ``output_file``, ``is_datamodel`` and ``is_string_or_datamodel``.
    """
    return {
        "input_file": _path,
        "output_file": _path,
        "is_datamodel": _data_model,
        "is_string_or_datamodel": _path_or_data_model,
    }


def path_checks(folder: str) -> dict[str, Callable[..., Any]]:
    """Name the checks that make paths absolute, relative to `folder`.

    An ``input_file`` must exist; the folder of an ``output_file`` is made if it does not.
    """

    def absolute(value: Any) -> Path:
        return Path(folder, _path(value)).absolute()

    def input_file(value: Any) -> str:
        path = absolute(value)
        if not path.exists():
            raise _PathError(f"there is no such file: {path}")
        return str(path)

    def output_file(value: Any) -> str:
        path = absolute(value)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise _PathError(f"its folder cannot be made: {reason(error)}") from error
        return str(path)

    return {"input_file": input_file, "output_file": output_file}


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        raise VdtTypeError(value)
    return value


def _data_model(value: Any) -> Any:
    if not is_model(value):
        raise VdtTypeError(value)
    return value


def _path_or_data_model(value: Any) -> Any:
    return value if isinstance(value, str) else _data_model(value)
