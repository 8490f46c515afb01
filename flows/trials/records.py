"""The records of the runs in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from graphlib import TopologicalSorter
from pathlib import Path

from stpipe_prefect.exceptions import InputError
from stpipe_prefect.provenance.record import SUFFIX, Record, read_record


def records_in(folder: Path) -> list[Record]:
    """Read the records in a folder, by name; what cannot be read is none."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(InputError):
            found.append(read_record(path))
    return found


def in_order(records: Iterable[Record]) -> list[Record]:
    """Put each run after those whose products it takes."""
    by_path = {record.path: record for record in records}
    makers = {
        Path(product.path).absolute(): path
        for path, record in by_path.items()
        for product in record.products
    }
    needs = {
        path: {
            makers[taken]
            for file in record.dependencies.inputs
            if (taken := Path(file.path)) in makers and makers[taken] != path
        }
        for path, record in by_path.items()
    }
    return [by_path[path] for path in TopologicalSorter(needs).static_order()]
