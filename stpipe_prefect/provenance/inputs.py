"""The data of a run, exposures, associations and models: what is opened, and its content."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..association import association_of, is_association, is_uri
from ..datamodel import file_name, is_library, is_model, is_sequence
from .fingerprint import FileContent, NoFingerprintError, content_of_association, content_of_model


def input_files(data: Any, folder: Path) -> list[Path]:
    """List the files that make up an input: exposures, associations and their members.

    Members may be in the folder that are not beside their association.
    """
    if is_sequence(data) and not is_model(data):
        return [path for item in data for path in input_files(item, folder)]
    named = [Path(data).absolute()] if isinstance(data, (str, Path)) else []
    association = association_of(data)
    return [*named, *association.files(folder)] if association else named


def input_contents(
    data: Any, folder: Path, known: Mapping[str, FileContent]
) -> tuple[list[FileContent], list[str]]:
    """Describe all that an input consists of, and name what cannot be compared.

    What an earlier run found out of files is known by their paths.
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
    return str(Path(data).parent) if is_association(data) else ""


def product_names(data: Any) -> list[str]:
    """List what the associations of an input call their products."""
    if is_library(data):
        data = dict(data.asn)
    if is_sequence(data) and not is_model(data):
        return [name for item in data for name in product_names(item)]
    association = association_of(data)
    return list(association.product_names) if association else []


def first_exposure(data: Any, folder: Path) -> Any:
    """Give the exposure whose header represents the input: the first science member or item."""
    if is_sequence(data) and data and not is_model(data):
        return first_exposure(data[0], folder)
    association = association_of(data)
    if association is None or not association.science:
        return str(data) if isinstance(data, Path) else data
    name = association.science[0]
    return name if is_uri(name) else str(association.find(name, folder))


@contextmanager
def opened_input(data: Any, folder: Path) -> Iterator[Any]:
    """Give a pipeline what it is to open: of an association a copy that says where members are.

    A member without a folder is looked for beside its association, where products go, and in the
    current folder, in this order. Pipelines differ in that: jwst's of stage 2 take the current
    folder, those of stage 3 the association's.
    """
    association = association_of(data)
    if association is None:
        yield data
    elif association.path is None:
        yield association.placed(folder, "the association")
    else:
        placed = association.placed(folder, str(data))
        with TemporaryDirectory(prefix="association-") as place:
            # jwst takes no other file than .json for an association when it asks CRDS.
            copy = Path(place, association.path.name).with_suffix(".json")
            copy.write_text(json.dumps(placed, default=str))
            yield str(copy)


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
