"""What we ask of a data model: nothing to inherit, only to have.

A data model has ``crds_observatory``, ``get_crds_parameters()``, ``save(path)`` and
``meta.filename``; the classes of stdatamodels and roman_datamodels do. A model library lends
out and takes back the models of an association one by one (``borrow``, ``shelve``), so that
they need not all be in memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard

_MODEL = ("crds_observatory", "get_crds_parameters", "save")
_LIBRARY = ("asn", "borrow", "shelve", "map_function", "finalize_result", "get_crds_parameters")


class DataModel(Protocol):
    """One exposure, or what was made of it.

    Attributes
    ----------
    crds_observatory : str
        As CRDS spells it: ``"jwst"``, ``"roman"``.
    meta : object
        With at least ``filename``, the name of the file it was read from or None.
    """

    meta: Any

    @property
    def crds_observatory(self) -> str: ...  # noqa: D102

    def get_crds_parameters(self) -> dict[str, Any]:
        """Give the metadata that CRDS matches on, by dotted name."""

    def save(self, path: str) -> str:
        """Write to a file, over an existing one, and return its path."""


def is_model(value: object) -> TypeGuard[DataModel]:
    """Tell whether something is a data model, or a container that acts as one."""
    return _has(value, _MODEL)


def is_library(value: object) -> TypeGuard[Any]:
    """Tell whether something is a model library."""
    return _has(value, _LIBRARY)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Tell whether something holds several models or file names in order."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def file_name(dataset: object) -> str | None:
    """Find the name of the file a dataset came from, without its folder.

    Parameters
    ----------
    dataset : str, path, data model, library, association as a dict, or sequence of these
        Of a sequence, the first counts; of a library, its association.
    """
    if isinstance(dataset, dict):
        name = dataset.get("table_name") or next(
            (each.get("name") for each in dataset.get("products", ())), None
        )
        return file_name(name)
    if isinstance(dataset, (str, Path)):
        return Path(dataset).name
    if is_sequence(dataset):
        return file_name(dataset[0]) if dataset else None
    if is_model(dataset):
        return file_name(dataset.meta.filename)
    if is_library(dataset):
        return file_name(dataset.asn.get("table_name"))
    return None


def models_in(dataset: Any) -> Iterator[Any]:
    """Go through the models of a dataset: one, those of a sequence, or those of a library."""
    if is_library(dataset):
        with dataset:
            for index, model in enumerate(dataset):
                yield model
                dataset.shelve(model, index)
    elif is_sequence(dataset):
        yield from dataset
    else:
        yield dataset


def _has(value: object, names: tuple[str, ...]) -> bool:
    """Look names up without evaluating properties, which may read files."""
    missing = object()
    return all(inspect.getattr_static(value, name, missing) is not missing for name in names)
