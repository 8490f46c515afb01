"""Two folders of products compared: those of the same name with one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exceptions import InputError
from ..provenance.record import LOG_SUFFIX, LOOKS_SUFFIX, SUFFIX
from .causes import Records
from .products import Comparison, compare_products


@dataclass(frozen=True)
class FolderComparison:
    """What was found of two folders.

    Attributes
    ----------
    a, b : pathlib.Path
    products : list of Comparison
        Of what both have, by name.
    only_in_a, only_in_b : list of str
    unreadable : dict of str to str
        Why two files could not be compared, by their name.
    """

    a: Path
    b: Path
    products: list[Comparison] = field(default_factory=list)
    only_in_a: list[str] = field(default_factory=list)
    only_in_b: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def is_identical(self) -> bool:
        """Whether both have the same products, and all are identical."""
        return not (self.only_in_a or self.only_in_b or self.unreadable) and all(
            product.is_identical for product in self.products
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "identical": self.is_identical,
            "only_in_a": self.only_in_a,
            "only_in_b": self.only_in_b,
            "unreadable": self.unreadable,
            "products": [product.as_json() for product in self.products],
        }


def compare_folders(a: Path, b: Path, *, rtol: float = 0.0, atol: float = 0.0) -> FolderComparison:
    """Compare the files that lie in two folders themselves; records, logs and hidden files aside.

    Raises
    ------
    InputError
        Neither has any file to compare.
    """
    in_a, in_b = _names(a), _names(b)
    if not in_a | in_b:
        raise InputError(f"{a}, {b}: neither folder has products in it; name those that have")
    found = FolderComparison(a, b, only_in_a=sorted(in_a - in_b), only_in_b=sorted(in_b - in_a))
    records = Records()
    for name in sorted(in_a & in_b):
        try:
            found.products.append(
                compare_products(a / name, b / name, rtol=rtol, atol=atol, records=records)
            )
        except InputError as error:
            found.unreadable[name] = str(error)
    return found


def _names(folder: Path) -> set[str]:
    return {
        path.name
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and not path.name.endswith((SUFFIX, LOG_SUFFIX, LOOKS_SUFFIX, ".html"))  # a report
    }
