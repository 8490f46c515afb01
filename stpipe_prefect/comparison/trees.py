"""Trees of ASDF: their values by path, their arrays and their WCS objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any

Path = tuple[str | int, ...]


@dataclass
class Tree:
    """What is in a tree of ASDF, by dotted path; tags aside.

    Attributes
    ----------
    values : dict
        What is neither array nor part of a WCS.
    arrays : dict
        Where the arrays of this file are; those that are extensions of FITS are left out.
    wcs : dict of dict
        The values of each WCS, those of its arrays included.
    """

    stream: IO[bytes]
    stack: ExitStack
    """Closes what has to stay open while arrays are read."""
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Path] = field(default_factory=dict)
    wcs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _places: dict[str, Path] = field(default_factory=dict)
    _raw: Any = None

    def __post_init__(self) -> None:
        from asdf.util import load_yaml

        for path, value in _walk(load_yaml(self.stream)):
            name = dotted(path)
            if _is_wcs(path, value):
                self._places[name] = path
                self.wcs[name] = dict(self._values_of_wcs(value, path))
            elif not _is_array(value):
                self.values[name] = value
            elif isinstance(value["source"], int):
                self.arrays[name] = path

    def array(self, name: str) -> Any:
        """Read one of the arrays."""
        import numpy as np

        return np.asarray(_at(self._raw_tree(), self.arrays[name]))

    def wcs_object(self, name: str) -> Any:
        """Make the object of a WCS; None where the package that can is missing."""
        import asdf

        self.stream.seek(0)
        tree = self.stack.enter_context(asdf.open(self.stream)).tree
        found = _at(tree, self._places[name])
        return found if hasattr(found, "pixel_to_world_values") else None

    def _raw_tree(self) -> Any:
        """Open it with asdf's own types alone: no package of a mission has to be there."""
        import asdf

        if self._raw is None:
            with asdf.config_context() as config:
                for extension in config.extensions:
                    if extension.package_name != "asdf":
                        config.remove_extension(extension)
                self.stream.seek(0)
                self._raw = self.stack.enter_context(asdf.open(self.stream))
        return self._raw.tree

    def _values_of_wcs(self, node: Any, at: Path) -> Iterator[tuple[str, Any]]:
        for path, value in _walk(node):
            if _is_array(value):
                array = _at(self._raw_tree(), (*at, *path))
                yield from leaves(array.tolist(), path)
            else:
                yield dotted(path), value


def leaves(node: Any, at: Path = ()) -> Iterator[tuple[str, Any]]:
    """Go through the values of a tree, each with its dotted path."""
    return ((dotted(path), value) for path, value in _walk(node, at))


def dotted(path: Path) -> str:
    """Write a path as people do: ``slits[0].meta.name``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def is_in_header(model_type: str, name: str) -> bool:
    """Tell whether a value of a model of jwst is a card of the same FITS file as well."""
    return name.startswith("extra_fits.") or re.sub(r"\[\d+\]", "", name) in _cards_of(model_type)


@lru_cache
def _cards_of(model_type: str) -> frozenset[str]:
    """List the paths of a model whose values are cards; without indices."""
    import asdf
    from stdatamodels.jwst import datamodels
    from stdatamodels.schema import walk_schema

    def note(schema: Any, path: list[str], combiner: Any, found: set[str], recurse: Any) -> None:
        if "fits_keyword" in schema:
            found.add(".".join(part for part in path if part not in _STRUCTURE))

    model = getattr(datamodels, model_type, datamodels.JwstDataModel)
    found: set[str] = set()
    walk_schema(asdf.schema.load_schema(model.schema_url, resolve_references=True), note, found)
    return frozenset(found)


_STRUCTURE = ("items", "anyOf", "oneOf")


def _walk(node: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Go through a tree down to values, arrays and, below its top, WCS objects."""
    if _is_array(node) or (at and _is_wcs(at, node)):
        yield at, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, (*at, key))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _walk(value, (*at, number))
    elif hasattr(node, "tolist"):  # an array in the metadata of a table
        yield from _walk(node.tolist(), at)
    else:
        yield at, node


def _is_array(node: Any) -> bool:
    return isinstance(node, Mapping) and {"source", "datatype"} <= node.keys()


def _is_wcs(path: Path, node: Any) -> bool:
    steps = node.get("steps") if path and isinstance(node, Mapping) else None
    return isinstance(steps, list) and all(isinstance(s, Mapping) and "frame" in s for s in steps)


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree
