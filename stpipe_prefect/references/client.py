"""The crds client: kept offline while this package works with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_offline = threading.Lock()
_depth = 0
_before: tuple[str, Any] = ("", None)


@contextmanager
def client_offline(observatory: str) -> Iterator[None]:
    """Keep the crds client itself from contacting any server within the block.

    It then works with what is in the cache; fetching is the business of `prefetch`, which
    knows how to do it safely.
    """
    global _depth, _before
    from crds.client import api

    with _offline:
        if _depth == 0:
            _before = api.URL, api.S
            api.set_crds_server(f"https://{observatory}-serverless.stsci.edu")
        _depth += 1
    try:
        yield
    finally:
        with _offline:
            _depth -= 1
            if _depth == 0:
                api.URL, api.S = _before
