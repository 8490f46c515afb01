"""Sharing out parameters given for a whole programme among its pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stpipe_prefect.exceptions import ParameterError, UsageError, nearest, reason
from stpipe_prefect.parameters.validation import check_parameters
from stpipe_prefect.registry import find_step, import_class


def share_parameters(pipelines: list[str], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give each pipeline the parameters it has.

    Parameters
    ----------
    pipelines : list of str
        Aliases of the pipelines that will run.
    given : mapping
        Values by name; those of steps under ``"steps"``, by step.

    Returns
    -------
    dict of str to dict
        For each pipeline its part of `given`.

    Raises
    ------
    ParameterError
        No pipeline has a parameter of that name, or one does not allow the value. Everything
        that is wrong is named.
    """
    values = dict(_leaves(given))
    shares = {}
    problems = []
    known: dict[str, None] = {}
    for pipeline in pipelines:
        names = dict.fromkeys(name for name, _ in _leaves(find_step(pipeline).load_spec_file()))
        known |= names
        shares[pipeline] = _nested({name: values[name] for name in values if name in names})
        try:
            check_parameters(find_step(pipeline), shares[pipeline])
        except ParameterError as error:
            problems.append(str(error))
    problems += [
        f"{', '.join(pipelines)}: there is no parameter {name!r}{nearest(name, known)}"
        for name in values
        if name not in known
    ]
    if problems:
        raise ParameterError("\n".join(problems))
    return shares


def pipeline_of_file(pipelines: list[str], config_file: str) -> str:
    """Find which of the pipelines a parameter file is for, by the class it names.

    Raises
    ------
    UsageError
        The file cannot be read, or is for none of them.
    """
    named = _class_named_in(Path(config_file))
    if named is None and len(pipelines) == 1:
        return pipelines[0]
    wanted = import_class(named) if named else None
    for pipeline in pipelines:
        if find_step(pipeline) is wanted:
            return pipeline
    raise UsageError(
        f"{config_file}: is for {named or 'no class it names'}, "
        f"and what runs is {', '.join(pipelines)}; choose with --pipeline"
    )


def _class_named_in(path: Path) -> str | None:
    import asdf
    from configobj import ConfigObj

    try:
        if path.suffix == ".asdf":
            with asdf.open(path) as file:
                named = file.get("class")
        else:
            named = ConfigObj(str(path), file_error=True, raise_errors=True).get("class")
    except Exception as error:
        raise UsageError(f"{path}: not a readable parameter file: {reason(error)}") from error
    return None if named is None else str(named)


def _leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return nested
