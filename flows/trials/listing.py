"""What there is of trials: in what they differ from the base, what they took, what they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpipe_prefect.provenance.dependencies import differences
from stpipe_prefect.provenance.record import Record

from .folders import BASE, trials_of
from .records import records_in

File = tuple[int, int]
"""A file system, and a file in it, by whichever name."""


@dataclass(frozen=True)
class Listed:
    """One trial, or the base.

    Attributes
    ----------
    name : str
    differs : dict of str to int
        In words, what its runs were made from that those of the base were not, and how many.
        Inputs that differ for that are left out.
    runs, shared_runs : int
        All, and those whose products it shares.
    seconds : float
        What its own runs took.
    own_bytes, shared_bytes : int
        Of its products: what lies on the disk for it alone, and what others have as well.
    """

    name: str
    differs: dict[str, int]
    runs: int
    shared_runs: int
    seconds: float
    own_bytes: int
    shared_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        return dict(vars(self))


def listed(base: Path) -> list[Listed]:
    """List the base, if it has products, and its trials."""
    records = {BASE: records_in(base)}
    records |= {trial.name: records_in(trial.folder) for trial in trials_of(base)}
    files = {name: _files(runs) for name, runs in records.items()}
    owners = Counter(file for each in files.values() for file in each)
    of_base = {record.path.name: record for record in records[BASE]}
    return [
        Listed(
            name,
            _differences(of_base, runs),
            len(runs),
            sum(bool(record.shared) for record in runs),
            round(sum(float(run.run.get("seconds", 0)) for run in runs if not run.shared), 1),
            *_own_and_shared(files[name], owners),
        )
        for name, runs in records.items()
        if runs or name != BASE
    ]


def _differences(of_base: Mapping[str, Record], runs: Iterable[Record]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for record in runs:
        before = of_base.get(record.path.name)
        if before is not None and before.path != record.path and not record.shared:
            made_from = before.dependencies, record.dependencies
            for text in differences(*made_from, ignore=["inputs"]):
                found[text] += 1
    return dict(found)


def _own_and_shared(
    files: Mapping[File, tuple[int, bool]], owners: Mapping[File, int]
) -> tuple[int, int]:
    sizes = {True: 0, False: 0}
    for file, (size, is_shared) in files.items():
        sizes[is_shared or owners[file] > 1] += size
    return sizes[False], sizes[True]


def _files(runs: Iterable[Record]) -> dict[File, tuple[int, bool]]:
    """Give the size of each product, and whether a run says that it shares it."""
    found = {}
    for record in runs:
        for product in record.products:
            path = Path(product.path)
            if path.is_file():
                stat = path.stat()
                found[stat.st_dev, stat.st_ino] = stat.st_size, bool(record.shared)
    return found
