"""Associations: which exposures are combined, into which products, and where the members are."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .exceptions import InputError, NoInputError, input_error, reason
from .remote.urls import there

SUFFIXES = (".json", ".yaml", ".yml")
"""Of the files that ``jwst.associations`` reads without a complaint, or with one about YAML."""

NAMING = ("expname", "exptype")
"""What an association says of a member itself; other values may name files that go with it."""

DROPPED = "dropped"
"""What an association calls members that it goes without: ``expname``, ``exptype``, ``reason``."""

BY_NAME = ("sourcecat", "segmap", "direct_image")
"""Members that jwst opens by their bare names in the current folder, wherever they are."""


@dataclass(frozen=True)
class Association:
    """An association, from a file or in memory.

    Attributes
    ----------
    table : dict
        As the file has it: ``asn_type``, ``asn_rule``, ``asn_id``, ``products``, ...
    path : pathlib.Path, optional
        The file; a member without a folder is looked for beside it first.

    Raises
    ------
    InputError
        The table has no products with members that are named.
    """

    table: dict[str, Any]
    path: Path | None = None

    def __post_init__(self) -> None:
        try:
            names = [Path(member["expname"]) for member in self.each_member()]
            "".join(map(str, names)).encode()  # JSON can spell names that no file has
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(_not_an_association(self.path, error)) from error

    def each_member(self) -> Iterator[dict[str, Any]]:
        """Go through the members of all products, as the table has them."""
        for product in self.table["products"]:
            yield from product["members"]

    @property
    def kind(self) -> str:
        """``asn_type`` in lower case; empty if it says nothing: `asn_from_list` writes "None"."""
        kind = str(self.table.get("asn_type") or "").lower()
        return "" if kind in ("none", "user_built") else kind

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members of all products, paths or URIs."""
        return tuple(member["expname"] for member in self.each_member())

    @property
    def science(self) -> tuple[str, ...]:
        """Names of the science members; of all, if none is called that."""
        kinds = [str(member.get("exptype")).lower() for member in self.each_member()]
        named = zip(self.members, kinds, strict=True)
        return tuple(name for name, kind in named if kind == "science") or self.members

    @property
    def product_names(self) -> tuple[str, ...]:
        """What it calls its products."""
        return tuple(str(product.get("name", "")) for product in self.table["products"])

    def find(self, name: str, folder: Path) -> Path:
        """Find a member or further file: beside the association, in `folder`, or here.

        Of a URL that is what stands for it.
        """
        if here := there(name):
            return here
        beside = self.path.absolute().parent if self.path else Path()
        places = [(each / name).absolute() for each in (beside, folder, Path())]
        return next((place for place in places if place.exists()), places[0])

    def files(self, folder: Path) -> list[Path]:
        """List the members that are files, and further files that go with them, each once."""
        found: dict[Path, None] = {}
        for member in self.each_member():
            if not is_uri(member["expname"]):
                found[self.find(member["expname"], folder)] = None
            found |= dict.fromkeys(self._further_files(member, folder).values())
        return list(found)

    def placed(self, folder: Path, label: str) -> dict[str, Any]:
        """Copy the table, with the paths of all files in place of their names."""
        placed = Association(copy.deepcopy(self.table), self.path)
        absent = []
        for member in placed.each_member():
            if not is_uri(member["expname"]):
                place = self.find(member["expname"], folder)
                if not place.exists():
                    absent.append(member["expname"])
                elif str(member.get("exptype")).lower() in BY_NAME:
                    _check_is_here(place, member["exptype"], label)
                member["expname"] = str(place)
            member |= {key: str(path) for key, path in self._further_files(member, folder).items()}
        if absent:
            raise NoInputError(
                f"{label}: its member {absent[0]} is neither beside it nor in {folder}"
                + (f", nor are {len(absent) - 1} more" if absent[1:] else "")
            )
        return placed.table

    def _further_files(self, member: dict[str, Any], folder: Path) -> dict[str, Path]:
        """Find the files that a member names besides itself, such as its catalogue."""
        named = {
            key: self.find(value, folder)
            for key, value in member.items()
            if key not in NAMING and isinstance(value, str) and value
        }
        return {key: path for key, path in named.items() if path.is_file()}


def is_association(data: Any) -> bool:
    """Tell whether data are the path of an association."""
    return isinstance(data, (str, Path)) and Path(data).suffix.lower() in SUFFIXES


def is_uri(name: str) -> bool:
    """Tell whether a member is elsewhere than in a file system, and nothing here stands for it."""
    return "://" in name and there(name) is None


def read_association(path: Path) -> Association:
    """Read an association from a file, JSON or YAML."""
    try:
        table = _parsed(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise input_error(_not_an_association(path, error), error) from error
    association = Association(table, path)
    if not association.members:
        raise InputError(f"{path}: an association without members: nothing to combine")
    return association


def association_of(data: Any) -> Association | None:
    """Give the association that data are, in memory or by its path; None for other data."""
    if isinstance(data, dict):
        return Association(data)
    return read_association(Path(data)) if is_association(data) else None


def exemplar(dataset: Any) -> Any:
    """Give what CRDS is asked about: of an association as a dict, its first science member."""
    if not (isinstance(dataset, dict) and "products" in dataset):
        return dataset
    return next(iter(Association(dataset).science), dataset)


def _parsed(text: str) -> Any:
    """Parse JSON, or else YAML, which allows what is nearly JSON; `jwst.associations` does so."""
    try:
        return json.loads(text)
    except ValueError:
        try:
            table = yaml.safe_load(text)
        except yaml.YAMLError:
            table = None
        if not isinstance(table, dict):
            raise
        return table


def _not_an_association(path: Path | None, error: Exception) -> str:
    return (
        (f"{path}: " if path else "") + "not an association: expected JSON (or YAML) with "
        f"products and their members ({type(error).__name__}: {reason(error)})"
    )


def _check_is_here(place: Path, kind: str, label: str) -> None:
    here = Path(place.name)
    if not here.exists() or not here.samefile(place):
        raise InputError(
            f"{label}: its {kind} is {place}, but the pipeline opens {place.name} of the current "
            f"folder: run it in {place.parent}"
        )
