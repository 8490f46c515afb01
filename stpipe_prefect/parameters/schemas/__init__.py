"""Schemas of ASDF parameter files, for validation with asdf (``custom_schema=``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def resource_mappings() -> list[Any]:
    """Give asdf our schemas; the entry point in the group ``asdf.resource_mappings``."""
    from asdf.resource import DirectoryResourceMapping

    return [DirectoryResourceMapping(Path(__file__).parent, "asdf://stpipe_prefect/schemas/")]
