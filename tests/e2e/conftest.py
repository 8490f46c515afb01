"""Comparing the products of two runs, card by card and pixel by pixel."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# What differs between any two runs of plain jwst: when they ran, and what they logged.
DATED_CARDS = {"DATE", "CHECKSUM", "DATASUM"}
DATED_COLUMNS = {"DATE"}
DATED_NODES = {"cal_logs", "date", "_fits_hash", "history"}


@pytest.fixture(scope="session")
def differences() -> Callable[[Path, Path], list[str]]:
    """Say how two products of the same name differ, dates and logs aside."""

    def compare(ours: Path, theirs: Path) -> list[str]:
        if ours.suffix == ".fits":
            found = _fits_differences(ours, theirs)
        else:
            found = _text_differences(ours, theirs)
        return [f"{ours.name}: {difference}" for difference in found]

    return compare


def _fits_differences(ours: Path, theirs: Path) -> Iterator[str]:
    from astropy.io import fits

    with fits.open(ours) as one, fits.open(theirs) as other:
        if [hdu.name for hdu in one] != [hdu.name for hdu in other]:
            yield "other extensions"
            return
        for mine, yours in zip(one, other, strict=True):
            if mine.name == "ASDF":
                if _asdf_tree(mine) != _asdf_tree(yours):
                    yield "other ASDF tree"
                continue
            if _cards(mine.header) != _cards(yours.header):
                changed = set(_cards(mine.header)) ^ set(_cards(yours.header))
                yield f"{mine.name}: other cards {sorted(map(str, changed))}"
            if mine.data is None and yours.data is None:
                continue
            columns = mine.data.dtype.names or [None]
            for column in columns:
                if column in DATED_COLUMNS:
                    continue
                a, b = (hdu.data if column is None else hdu.data[column] for hdu in (mine, yours))
                if not _same(a, b):
                    yield f"{mine.name}: other values{f' in {column}' if column else ''}"


def _same(a: Any, b: Any) -> bool:
    floating = np.issubdtype(a.dtype, np.floating)
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=floating)


def _cards(header: Any) -> list[tuple[str, str, str]]:
    return [
        (card.keyword, repr(card.value), card.comment)
        for card in header.cards
        if card.keyword not in DATED_CARDS
    ]


def _asdf_tree(hdu: Any) -> Any:
    from asdf.util import load_yaml

    return _undated(load_yaml(io.BytesIO(hdu.data.tobytes())))


def _undated(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _undated(value) for key, value in node.items() if key not in DATED_NODES}
    if isinstance(node, list):
        return [_undated(value) for value in node]
    return node


def _text_differences(ours: Path, theirs: Path) -> Iterator[str]:
    mine, yours = (
        [line for line in path.read_text().splitlines() if "date" not in line.lower()]
        for path in (ours, theirs)
    )
    if mine != yours:
        yield "other lines"
