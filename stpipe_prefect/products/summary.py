"""A provenance record as text, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .fingerprint import FileContent
from .provenance import Record


def summary(record: Record) -> Iterator[str]:
    """Put a record into lines; of the parameters only how many there are.

    Parameters
    ----------
    record : Record
    """
    run, made_from = record.run, record.ingredients
    yield f"{run['pipeline']}  {run['started']}  {run['seconds']:.1f} s on {run['host']}"
    yield f"  peak memory {run['peak_memory_mb']:.0f} MB, flow run {run['flow_run'] or 'none'}"
    yield f"  log {run['log']}"
    yield f"  context {made_from.context}, server {made_from.server or 'none'}"
    yield f"  {', '.join(f'{name} {number}' for name, number in made_from.software.items())}"
    yield from _files("products", record.products)
    yield from _files("inputs", made_from.inputs)
    yield "steps"
    for step in record.steps:
        yield f"  {step['step']:24} {step['outcome']:10} {step['seconds']:9.2f} s"
    yield "references"
    for row in made_from.references:
        if row["file"] != "N/A":
            title = f"{row['step']} {row['type']}".strip()
            yield f"  {title:40} {row['file']}  {row.get('sha1', '')}".rstrip()
    yield f"parameters\n  {len(made_from.parameters)}: shown with --json"


def _files(title: str, files: list[FileContent]) -> Iterator[str]:
    yield title
    for file in files:
        yield f"  {Path(file.path).name}  {file.size / 1e6:.2f} MB  sha256 {file.sha256}"
