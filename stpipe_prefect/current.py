"""Values of the current run: context variables that threads of a step find, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Current(Generic[T]):
    """A value that each run has of its own, such as where it logs."""

    def __init__(self, name: str) -> None:
        self._context: ContextVar[T | None] = ContextVar(name, default=None)
        self._active: list[T] = []

    @contextmanager
    def set(self, value: T) -> Iterator[None]:
        """Have the value for the time of the block."""
        token = self._context.set(value)
        self._active.append(value)
        try:
            yield
        finally:
            self._active.remove(value)
            self._context.reset(token)

    def get(self) -> T | None:
        """Give the value of the run whose context this is, if it is that of a run."""
        return self._context.get()

    def inferred(self) -> T | None:
        """Give it to threads without a context as well, while only one run is under way.

        A thread that a step starts has no context of its run; then there is no doubt whose it is.
        """
        value = self.get()
        return self._active[0] if value is None and len(self._active) == 1 else value
