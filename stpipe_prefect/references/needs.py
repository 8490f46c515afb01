"""Which files an exposure calls for: the references and parameter files of a pipeline's steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..association import association_of, exemplar
from ..exceptions import input_error, reason
from ..remote.stand_ins import bring_header
from .reference import ReferenceFile
from .selection import select

_SELF_CONTAINED = (".fits", ".asdf")
"""What an association says is in other files, which can change while it does not."""


def read_crds_parameters(step_class: Any, data: Any) -> tuple[Mapping[str, Any], str]:
    """Read from an exposure what CRDS matches on, and the observatory.

    A file that is as it was is not read again.
    """
    try:
        data = exemplar(data)
        if isinstance(data, (str, Path)) and Path(data).suffix in _SELF_CONTAINED:
            bring_header(data)
            stat = Path(data).stat()
            as_it_was = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            crds_parameters, observatory = _read(step_class, str(data), as_it_was)
        else:
            crds_parameters, observatory = step_class._get_crds_parameters(data)
    except Exception as error:
        label = Path(data).name if isinstance(data, (str, Path)) else type(data).__name__
        raise input_error(
            f"{label} cannot be read as an exposure: {reason(error)}", error
        ) from error
    return crds_parameters, observatory


def further_members(data: Any) -> list[str]:
    """List the science exposures of an association after the first, as far as they are there.

    The first represents the association; the others may call for further files.
    """
    association = association_of(data)
    if association is None:
        return []
    files = [association.find(name, Path()) for name in association.science[1:]]
    return [str(file) for file in files if file.is_file()]


def files_needed(
    step: Any, data: Any, crds_parameters: Mapping[str, Any], observatory: str, context: str
) -> list[ReferenceFile]:
    """List the reference files of a configured step or pipeline that CRDS decides about.

    Those of steps that are skipped are left out. The members of an association after the first
    may need further files.
    """
    if step.skip:
        return []
    types = {
        kind
        for _, each in steps_to_run(step)
        for kind, override in types_needed(each)
        if override is None
    }
    files = select(crds_parameters, types, observatory=observatory, context=context)
    for member in further_members(data):
        other, _ = read_crds_parameters(type(step), member)
        files += select(other, types, observatory=observatory, context=context, required=False)
    return [file for file in files if file.applies]


def steps_to_run(step: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Go through a step and those of its steps that are not skipped, by their dotted names."""
    yield path, step
    for name in getattr(step, "step_defs", {}):
        if not getattr(step, name).skip:
            yield from steps_to_run(getattr(step, name), f"{path}.{name}".lstrip("."))


def types_needed(step: Any) -> Iterator[tuple[str, Any]]:
    """Go through the types a step itself asks for, each with what is given instead."""
    if not getattr(step, "step_defs", {}):
        yield from ((kind, step.get_ref_override(kind)) for kind in step.reference_file_types)


def parameter_files(
    pipeline_class: Any, crds_parameters: Mapping[str, Any], observatory: str, context: str
) -> list[ReferenceFile]:
    """List the parameter files CRDS selects for a pipeline and its steps, and theirs."""
    types = [each.get_config_reftype() for _, each in step_classes(pipeline_class)]
    selected = select(
        crds_parameters, types, observatory=observatory, context=context, required=False
    )
    return [file for file in selected if file.applies]


def step_classes(
    step_class: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Go through the classes of a pipeline's steps, each with its path, and then its own."""
    for name, each in getattr(step_class, "step_defs", {}).items():
        yield from step_classes(each, (*path, name))
    yield path, step_class


def differing_parameters(
    wanted: ReferenceFile, asked: Mapping[str, Any], exposure: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what a question for a reference file matched on otherwise than the exposure itself.

    The names are spelled as the exposure's.
    """
    from crds.core import rmap, utils

    # Of this instrument alone: a cache need not have the rules of the others.
    context = rmap.get_cached_mapping(wanted.context)
    rules = context.get_imap(utils.header_to_instrument(dict(asked)))
    matched = {name.lower() for name in (*context.parkey, *rules.get_required_parkeys())}
    spelled = {name.lower(): name for name in (*asked, *exposure)}
    before, now = (
        dict.fromkeys(spelled, "UNDEFINED")  # as crds takes what is not given
        | {name.lower(): value for name, value in parameters.items() if value is not None}
        for parameters in (exposure, asked)
    )
    return {
        spelled[name]: now[name] for name in sorted(matched & set(now)) if now[name] != before[name]
    }


@lru_cache(maxsize=8)
def _read(step_class: Any, file: str, as_it_was: tuple[int, ...]) -> tuple[Mapping[str, Any], str]:
    found: tuple[Mapping[str, Any], str] = step_class._get_crds_parameters(file)
    return found
