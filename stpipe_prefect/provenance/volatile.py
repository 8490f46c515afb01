"""What may differ between two makings of the same product: when they were made, and where they lie.

Fingerprints of open models leave it out, and so does the comparison of products.
"""

from __future__ import annotations

import re

VOLATILE = (
    # In the tree of a data model, of jwst or roman.
    "meta.date",
    "meta.file_date",
    "meta.filename",
    "cal_logs",
    "meta.cal_logs",
    "individual_image_cal_logs",
    "meta.image.file_date",
    "history",
    "_fits_hash",
    # Around it in ASDF: which release of asdf wrote it.
    "asdf_library",
    # FITS: cards, and columns of the table of headers in a combined image.
    "DATE",
    "FILENAME",
    "HISTORY",
    "CHECKSUM",
    "DATASUM",
    # What photutils notes in a catalogue.
    "date",
)
"""Names of values; what is below one of them belongs to it."""

PARAMETERS = ("in_memory",)
"""Parameters of steps that say where data are meanwhile, in memory or on disk."""


_ELEMENT = re.compile(r"^(roman|\w+\[\d+\]|\w+\.\d+)\.")
"""What the names of values begin with in models of roman, and in the elements of a model's list."""


def is_volatile(name: str) -> bool:
    """Tell it of a value by its dotted name, as a card, a column or the tree of a model has it."""
    name = _ELEMENT.sub("", name)
    return any(name == each or name.startswith((f"{each}.", f"{each}[")) for each in VOLATILE)
