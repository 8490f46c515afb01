"""A member of another module or class, replaced for as long as runs need that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_originals: dict[tuple[int, str], tuple[Any, int]] = {}


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a member within the block; of blocks that overlap, the last one puts it back.

    Parameters
    ----------
    owner : module or class
    name : str
        Of the member.
    make : callable
        Makes the replacement of the original. It has to leave alone what is not of its run.
    """
    key = (id(owner), name)
    with _lock:
        original, users = _originals.get(key, (vars(owner)[name], 0))
        if not users:
            setattr(owner, name, make(original))
        _originals[key] = (original, users + 1)
    try:
        yield
    finally:
        with _lock:
            original, users = _originals.pop(key)
            if users > 1:
                _originals[key] = (original, users - 1)
            else:
                setattr(owner, name, original)
