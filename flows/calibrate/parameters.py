"""Sharing out parameters given for a whole campaign among its pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stpipe_prefect.exceptions import ParameterError, UnknownStepError, UsageError, nearest
from stpipe_prefect.parameters.files import check_with_files, read_parameter_file
from stpipe_prefect.parameters.text import full_names, leaves, nested, typed
from stpipe_prefect.registry import find_step

Find = Callable[[str], Any]
"""Finds the class of a pipeline."""


def share_parameters(
    pipelines: list[str], given: Mapping[str, Any], find: Find = find_step
) -> dict[str, dict[str, Any]]:
    """Give each pipeline the parameters it has, those of its steps under ``"steps"``.

    Raises
    ------
    ParameterError
        No pipeline has a parameter of that name, or one does not allow the value. Everything
        that is wrong is named.
    """
    values = dict(leaves(given))
    if "output_dir" in values:
        raise ParameterError("output_dir is an option of its own: give it as --output-dir=DIR")
    shares: dict[str, dict[str, Any]] = {name: {} for name in pipelines}
    if not values:  # and no need to import the mission's package for it
        for name in pipelines:
            if "." in name:
                find_step(name)
        return shares
    problems = []
    known: dict[str, None] = {}
    for pipeline in pipelines:
        step_class = find(pipeline)
        spec = step_class.load_spec_file()
        names = dict.fromkeys(name for name, _ in leaves(spec))
        known |= names
        shares[pipeline] = nested({name: values[name] for name in values if name in names})
        try:
            check_with_files(step_class, typed(shares[pipeline], spec), None)
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


def parameters_given(pipelines: list[str], texts: Mapping[str, str], find: Find) -> dict[str, Any]:
    """Complete and nest what a command line gives for the pipelines; values stay text.

    Raises
    ------
    UsageError
        A name is short for several parameters.
    """
    known: dict[str, None] = {}
    for pipeline in pipelines if texts else ():
        known |= dict.fromkeys(name for name, _ in leaves(find(pipeline).load_spec_file()))
    return nested(full_names(texts, known))


def parameters_of(
    pipelines: list[str],
    given: Mapping[str, Any],
    config_file: str | None,
    config_files: Mapping[str, str],
    find: Find,
) -> dict[str, dict[str, Any]]:
    """Give each pipeline its parameters, and its parameter file: of `config_files`, or by class.

    Raises
    ------
    UsageError
        See `share_parameters` and `pipeline_of_file`.
    """
    shares = share_parameters(pipelines, given, find)
    for pipeline in config_files.keys() & shares.keys():
        shares[pipeline]["config_file"] = config_files[pipeline]
        check_with_files(find(pipeline), {}, config_files[pipeline])
    if config_file is not None:
        shares[pipeline_of_file(pipelines, config_file, find)]["config_file"] = config_file
    return shares


def share_checkpoints(
    pipelines: list[str], steps: list[str], find: Find = find_step
) -> dict[str, list[str]]:
    """Give each pipeline those of the steps it has; all have ``"all"``.

    Raises
    ------
    UsageError
        No pipeline has a step of that name.
    """
    if not steps:
        return {name: [] for name in pipelines}
    known = {name: ["all", *getattr(find(name), "step_defs", ())] for name in pipelines}
    names = list(dict.fromkeys(step for steps_of in known.values() for step in steps_of))
    for step in steps:
        if step not in names:
            raise UsageError(
                f"{', '.join(pipelines)}: there is no step {step!r}{nearest(step, names)} "
                "to keep a checkpoint after"
            )
    return {name: [step for step in steps if step in known[name]] for name in pipelines}


def pipeline_of_file(pipelines: list[str], config_file: str, find: Find = find_step) -> str:
    """Find which of the pipelines a parameter file is for, by the class it names.

    Raises
    ------
    UsageError
        The file cannot be read, is for none of them, or says what the pipeline does not allow.
    """
    file = read_parameter_file(Path(config_file))
    runs = f"what runs is {', '.join(pipelines)}"
    if file.class_path is None:
        if len(pipelines) != 1:
            raise UsageError(f"{config_file}: names no class, and {runs}; choose with --pipeline")
        (pipeline,) = pipelines
    else:
        try:
            wanted = find_step(file.class_path)
        except UnknownStepError as error:
            raise UsageError(f"{config_file}: {error}") from error
        suited = [name for name in pipelines if find_step(name) is wanted]
        if not suited:
            raise UsageError(f"{config_file}: is for {file.class_path}, and {runs}")
        (pipeline,) = suited
    check_with_files(find(pipeline), {}, config_file)
    return pipeline
