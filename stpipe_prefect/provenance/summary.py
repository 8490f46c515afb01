"""A provenance record as text, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from .fingerprint import FileContent
from .inserted import place
from .record import Record

WIDTH = 100
"""Characters of a line of statistics."""


def summary(record: Record) -> Iterator[str]:
    """Put a record into lines; of the parameters only how many there are.

    What a record of an earlier version does not have is left out.
    """
    run, made_from = record.run, record.dependencies
    where = f" on {run['host']}" if "host" in run else ""
    yield "  ".join(
        [
            run.get("pipeline", made_from.pipeline),
            *([run["started"]] if "started" in run else []),
            *([f"{run['seconds']:.1f} s{where}"] if "seconds" in run else []),
        ]
    )
    memory = [f"peak memory {run['peak_memory_mb']:.0f} MB"] if "peak_memory_mb" in run else []
    yield "  " + ", ".join([*memory, f"flow run {run.get('flow_run') or 'none'}"])
    if "log" in run:
        yield f"  log {run['log']}"
    yield f"  context {made_from.context}, server {made_from.server or 'none'}"
    code = [row for row in made_from.code or () if row["version"]]
    versions = {row["name"]: row["version"] for row in code} or made_from.software
    yield f"  {', '.join(f'{name} {number}' for name, number in versions.items())}"
    if modules := [row["name"] for row in made_from.code or () if row["sha256"]]:
        yield f"  code of {', '.join(modules)}"
    for row in made_from.insertions:
        yield f"  step {row['step']} inserted {place(row)}: {row['class']}"
    yield from _files("products", record.products)
    yield from _files("inputs", made_from.inputs)
    if record.caveats:
        yield "caveats"
    yield from (f"  {line}" for line in record.remarks)
    if record.statistics:
        yield "statistics"
    for name, found in record.statistics.items():
        yield f"  {name}"
        values = ", ".join(f"{each} {value:.4g}" for each, value in found.items())
        yield from wrap(values, WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield "steps"
    for step in record.steps:
        yield f"  {step['step']:24} {step['outcome']:10} {step.get('seconds', 0.0):9.2f} s"
        if "reason" in step:
            yield f"    {step['reason']}"
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
