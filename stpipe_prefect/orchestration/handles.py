"""Handles: how data models travel between tasks without Prefect ever seeing them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from ..datamodel import file_name, is_library, is_model
from ..exceptions import UsageError


class Handle:
    """A box that carries what one step hands to the next, and is emptied by its user.

    Prefect keeps the parameters and results of tasks for as long as a flow runs, and looks
    into lists, dicts and dataclasses. It sees an opaque handle instead, so no model is hashed,
    copied or kept alive on its account.

    Parameters
    ----------
    *contents : object
        What a step's ``run`` takes or gives: data models, file names, lists of them, `None`.
    """

    __slots__ = ("__weakref__", "_carried", "_contents")

    def __init__(self, *contents: Any) -> None:
        self._contents: tuple[Any, ...] | None = contents
        self._carried = tuple(weakref.ref(item) for item in _models(contents))

    @property
    def label(self) -> str:
        """Name of the first object that is in it."""
        return label_of(self._contents[0]) if self._contents else "nothing"

    def take_all(self) -> tuple[Any, ...]:
        """Empty the handle.

        Returns
        -------
        tuple
            Everything it held.

        Raises
        ------
        UsageError
            The handle is already empty.
        """
        contents, self._contents = self._contents, None
        if contents is None:
            raise UsageError(
                "This handle is empty: its data model was taken by an earlier step; "
                "keep the model, or the product's file name, if two steps need it"
            )
        return contents

    def take(self) -> Any:
        """Empty a handle that holds one thing, and return that thing."""
        (content,) = self.take_all()
        return content

    def carried(self, item: Any) -> bool:
        """Tell whether this very object was put into the handle, also after it was emptied."""
        return any(reference() is item for reference in self._carried)


def label_of(data: Any) -> str:
    """Name what a run is given: by its file, or else by its type."""
    return (file_name(data) if data else None) or type(data).__name__


def boxed(data: Any) -> Any:
    """Put every data model, in a list or dict or by itself, into a handle."""
    if isinstance(data, dict):
        return {name: boxed(value) for name, value in data.items()}
    items = data if isinstance(data, (list, tuple)) else [data]
    return Handle(data) if any(map(_is_data, items)) else data


def _is_data(item: Any) -> bool:
    return not isinstance(item, Handle) and (is_library(item) or is_model(item))


def unboxed(data: Any) -> Any:
    """Take out again what `boxed` put into handles."""
    if isinstance(data, dict):
        return {name: unboxed(value) for name, value in data.items()}
    if type(data) in (list, tuple):
        return type(data)(map(unboxed, data))
    return data.take() if isinstance(data, Handle) else data


class Lineage:
    """Which earlier tasks made the data a step is given: the edges of the run graph."""

    def __init__(self) -> None:
        self._made: list[Handle] = []

    def add(self, handle: Handle) -> None:
        """Remember the result of a task."""
        self._made.append(handle)

    def of(self, contents: Iterable[Any]) -> list[Handle]:
        """Find the latest result that carried each of the models among `contents`."""
        found: list[Handle] = []
        for item in _models(contents):
            maker = next((handle for handle in reversed(self._made) if handle.carried(item)), None)
            if maker is not None and maker not in found:
                found.append(maker)
        return found


def _models(contents: Iterable[Any]) -> Iterator[Any]:
    """Yield the objects whose identity can be followed, looking into lists and tuples."""
    for item in contents:
        if isinstance(item, (list, tuple)):
            yield from _models(item)
        elif type(item).__weakrefoffset__:
            yield item
