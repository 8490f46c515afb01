"""Schemas of ASDF: parsed once by the processes of exposures."""

from __future__ import annotations

from contextlib import suppress
from functools import cache


def parse_schemas_once() -> None:
    """Have this process, and those forked from it, parse each schema of ASDF once.

    asdf 5 parses that of arrays anew for every array given to a data model, 264 times in
    Detector1: a tenth of its time for a small exposure. A schema's address carries its version,
    so what was read under it stays true. With an asdf that loads schemas otherwise nothing is
    changed.
    """
    import asdf.schema

    with suppress(AttributeError, TypeError):
        load = cache(asdf.schema._make_schema_loader())
        asdf.schema._make_schema_loader = lambda: load
