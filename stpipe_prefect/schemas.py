"""Schemas of ASDF: parsed once by the processes of exposures."""

from __future__ import annotations

from functools import cache


def parse_schemas_once() -> None:
    """Have this process, and those forked from it, parse each schema of ASDF once.

    asdf 5 parses that of arrays anew for every array given to a data model: of the 1.6 s that
    Detector1 takes for a small exposure, half. A schema's address carries its version, so what
    was read under it stays true. With an asdf that loads schemas otherwise nothing is changed.
    """
    import asdf.schema

    if not hasattr(asdf.schema, "_make_schema_loader"):
        return
    load = cache(asdf.schema._make_schema_loader())
    asdf.schema._make_schema_loader = lambda: load
