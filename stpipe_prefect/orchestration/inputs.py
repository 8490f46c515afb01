"""The data of a run, exposures, associations and models: what is opened, and its content."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..datamodel import exemplar, file_name, is_library, is_model, is_sequence
from ..exceptions import InputError, NoInputError, input_error, reason
from ..products.fingerprint import (
    FileContent,
    NoFingerprintError,
    content_of_association,
    content_of_model,
)

NAMING = ("expname", "exptype")
"""What an association says of a member itself; other values may name files that go with it."""

BY_NAME = ("sourcecat", "segmap", "direct_image")
"""Members that jwst opens by their bare names in the current folder, wherever they are."""


def input_files(data: Any, folder: Path) -> list[Path]:
    """List the files that make up an input: exposures, associations and their members.

    Parameters
    ----------
    data : str, path, association as a dict, data model, or a sequence of these
    folder : pathlib.Path
        Where members may be that are not beside their association.

    Raises
    ------
    InputError
        An association cannot be read.
    """
    if is_sequence(data) and not is_model(data):
        return [path for item in data for path in input_files(item, folder)]
    if isinstance(data, dict):
        return list(_members(data, Path(), folder))
    if not isinstance(data, (str, Path)):
        return []
    path = Path(data).absolute()
    return [path, *_members(_read(path), path.parent, folder)] if _is_association(path) else [path]


def input_contents(
    data: Any, folder: Path, known: Mapping[str, FileContent]
) -> tuple[list[FileContent], list[str]]:
    """Describe all that an input consists of.

    Parameters
    ----------
    data, folder
        As for `input_files`.
    known : mapping
        What an earlier run found out, by path.

    Returns
    -------
    list of FileContent, list of str
        The files and models; and what cannot be compared with another time.
    """
    contents = [FileContent.of(path, known.get(str(path))) for path in input_files(data, folder)]
    opaque = []
    for association in _open_associations(data):
        try:
            contents.append(content_of_association(association, file_name(data) or "association"))
        except NoFingerprintError as error:
            opaque.append(str(error))
    labels: Counter[str] = Counter()
    for model in each_model(data):
        label = file_name(model) or type(model).__name__
        labels[label] += 1
        number = f"#{labels[label]}" if labels[label] > 1 else ""
        try:
            contents.append(content_of_model(model, f"{label}{number}"))
        except NoFingerprintError as error:
            opaque.append(str(error))
    return contents, opaque


def folder_of(data: Any) -> str:
    """Name the folder of an association, of which pipelines open a copy; empty for other data."""
    return str(Path(data).parent) if _is_association(data) else ""


def product_names(data: Any) -> list[str]:
    """List what the associations of an input call their products."""
    if is_sequence(data) and not is_model(data):
        return [name for item in data for name in product_names(item)]
    if _is_association(data):
        data = _read(Path(data))
    products = data.get("products", []) if isinstance(data, dict) else []
    return [str(product.get("name", "")) for product in products]


def first_exposure(data: Any, folder: Path) -> Any:
    """Give what speaks for an input: the first science member, or the first of a list.

    Parameters
    ----------
    data, folder
        As for `input_files`.
    """
    if is_sequence(data) and data and not is_model(data):
        return first_exposure(data[0], folder)
    if isinstance(data, dict):
        association, beside = data, Path()
    elif _is_association(data):
        association, beside = _read(Path(data)), Path(data).parent
    else:
        return str(data) if isinstance(data, Path) else data
    if not [*_each_member(association)]:
        return data
    name = exemplar(association)
    return name if "://" in name else str(_place(name, beside, folder))


@contextmanager
def opened_input(data: Any, folder: Path) -> Iterator[Any]:
    """Give a pipeline what it is to open: of an association a copy that says where members are.

    A member without a folder is looked for beside its association, where products go, and in the
    current folder, in this order. Pipelines differ in that: jwst's of stage 2 take the current
    folder, those of stage 3 the association's.

    Raises
    ------
    InputError
        A member is in none of them, or not where the pipeline will look for it.
    """
    if isinstance(data, dict):
        yield _placed(data, Path(), folder, "the association")
    elif _is_association(data):
        path = Path(data).absolute()
        placed = _placed(_read(path), path.parent, folder, str(data))
        with TemporaryDirectory(prefix="association-") as place:
            copy = Path(place, path.name)
            copy.write_text(json.dumps(placed))
            yield str(copy)
    else:
        yield data


def _is_association(data: Any) -> bool:
    """Tell whether data are an association in a file."""
    return isinstance(data, (str, Path)) and Path(data).suffix.lower() == ".json"


def _read(path: Path) -> dict[str, Any]:
    try:
        association: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise input_error(f"{path}: not an association: {reason(error)}", error) from error
    return association


def _each_member(association: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        for product in association["products"]:
            for member in product["members"]:
                Path(member["expname"])
                yield member
    except (KeyError, TypeError) as error:
        raise InputError(f"not an association: {reason(error)}") from error


def _members(association: Mapping[str, Any], *folders: Path) -> Iterator[Path]:
    """Find the members, and further files that go with them, each once."""
    found: dict[Path, None] = {}
    for member in _each_member(association):
        if "://" not in member["expname"]:
            found[_place(member["expname"], *folders)] = None
        found |= {file: None for _, file in _further_files(member, *folders)}
    yield from found


def _further_files(member: Mapping[str, Any], *folders: Path) -> list[tuple[str, Path]]:
    """List what of a member names a file that goes with it, such as its catalogue, and the file."""
    named = [
        (key, _place(value, *folders))
        for key, value in member.items()
        if key not in NAMING and isinstance(value, str) and value
    ]
    return [(key, file) for key, file in named if file.is_file()]


def _check_is_here(place: Path, kind: str, label: str) -> None:
    here = Path(place.name)
    if not here.exists() or not here.samefile(place):
        raise InputError(
            f"{label}: its {kind} is {place}, but the pipeline opens {place.name} of the current "
            f"folder: run it in {place.parent}"
        )


def _place(name: str, *folders: Path) -> Path:
    """Find a file in the first of the folders that has it, or else the current one."""
    places = [(folder / name).absolute() for folder in (*folders, Path())]
    return next((place for place in places if place.exists()), places[0])


def _placed(
    association: Mapping[str, Any], beside: Path, folder: Path, label: str
) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(association))
    absent = []
    for member in _each_member(copy):
        if "://" not in member["expname"]:
            place = _place(member["expname"], beside, folder)
            if not place.exists():
                absent.append(member["expname"])
            elif str(member.get("exptype")).lower() in BY_NAME:
                _check_is_here(place, member["exptype"], label)
            member["expname"] = str(place)
        for key, file in _further_files(member, beside, folder):
            member[key] = str(file)
    if absent:
        raise NoInputError(
            f"{label}: its member {absent[0]} is neither beside it nor in {folder}"
            + (f", nor are {len(absent) - 1} more" if absent[1:] else "")
        )
    return copy


def _open_associations(data: Any) -> Iterator[Mapping[str, Any]]:
    """Go through associations that are given as such, and not as files."""
    if isinstance(data, dict):
        yield data
    elif is_library(data):
        yield data.asn
    elif is_sequence(data) and not is_model(data):
        for item in data:
            yield from _open_associations(item)


def each_model(data: Any) -> Iterator[Any]:
    """Go through models that are open; those of a library are lent and taken back."""
    if is_library(data):
        with data:
            for index, model in enumerate(data):
                try:
                    yield model
                finally:
                    data.shelve(model, index, modify=False)
    elif is_sequence(data):
        for item in data:
            yield from each_model(item)
    elif not isinstance(data, (str, Path, dict)):
        yield data
