"""Holding parameter values against the configspec of a Step, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from configobj.validate import Validator, VdtTypeError, VdtValueError

from ..exceptions import ParameterError, nearest


def check_parameters(step_class: Any, given: Mapping[str, Any]) -> None:
    """Refuse parameters a Step or Pipeline does not have, and values it does not allow.

    Parameters
    ----------
    step_class : type
        A class that honours the stpipe contract.
    given : mapping
        Parameter values by name; those of a pipeline's steps under ``"steps"``, by step.
        Text is accepted wherever it reads as the type asked for.

    Raises
    ------
    ParameterError
        Names everything that is wrong, one line for each problem.
    """
    title = step_class.class_alias or step_class.__name__
    problems = list(_problems(step_class.load_spec_file(), given, prefix=""))
    if problems:
        raise ParameterError("\n".join(f"{title}: {problem}" for problem in problems))


def _problems(spec: Mapping[str, Any], given: Mapping[str, Any], prefix: str) -> Iterator[str]:
    validator = Validator(stpipe_checks())
    for name, value in given.items():
        path = prefix + name
        if name not in spec:
            kind = "step" if prefix == "steps." else "parameter"
            yield f"there is no {kind} {path!r}{nearest(name, list(spec))}"
        elif isinstance(spec[name], Mapping):
            if isinstance(value, Mapping):
                yield from _problems(spec[name], value, prefix=path + ".")
            else:
                yield f"{path} is a section: give its parameters as {path}.<parameter>"
        else:
            check = spec[name]
            try:
                validator.check(check, value)
            except (VdtTypeError, VdtValueError):
                yield f"{path} = {value!r} is not allowed: expected {check}"


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


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        raise VdtTypeError(value)
    return value


def _data_model(value: Any) -> Any:
    if not hasattr(value, "get_crds_parameters"):
        raise VdtTypeError(value)
    return value


def _path_or_data_model(value: Any) -> Any:
    return value if isinstance(value, str) else _data_model(value)
