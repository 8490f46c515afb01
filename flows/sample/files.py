"""Write data models so that making them again gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CREATED = "2022-07-12T00:00:00"
"""The date every file of the sample bears, instead of the time it was written."""


def save(model: Any, path: Path) -> None:
    """Write a JWST data model (FITS or ASDF, as the name says), dated `CREATED`."""
    stamp = model.on_save

    def stamp_with_fixed_date(target: object = None) -> None:
        stamp(target)
        model.meta.date = CREATED

    # A plain assignment would put the function into the model's tree, to be written with it.
    object.__setattr__(model, "on_save", stamp_with_fixed_date)
    model.save(path)
