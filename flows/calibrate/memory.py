"""Associations that do not fit the free memory are combined by way of the disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from stpipe_prefect.association import is_association
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.execution.capacity import AT_REST_MB, free_memory_mb
from stpipe_prefect.parameters.resolution import MEMORY, Layer, Source
from stpipe_prefect.provenance.record import read_record

from .job import Job

IN_MEMORY = "in_memory"
"""What a pipeline calls whether it holds all members at a time."""

GROWTH = 4.0
"""Memory for each byte of the members: calwebb_image3 of four, 118 MB, came to 640 MB."""


def layers_for_memory(
    job: Job, step_class: Any, folder: Path, output_file: str | None
) -> list[Layer]:
    """Choose, of a pipeline that can, that it holds one member at a time, if all do not fit."""
    if not is_association(job.input) or IN_MEMORY not in step_class.load_spec_file():
        return []
    sizes = {path.name: path.stat().st_size for path in job.files(folder) if path.is_file()}
    expected = expected_in_memory_mb(sum(sizes.values()), job.record(folder, output_file))
    return [Layer(Source(MEMORY), {IN_MEMORY: False})] if expected > free_memory_mb() else []


def expected_in_memory_mb(size: int, record: Path) -> float:
    """Expect what an association needs that holds so many bytes of members, in MB.

    That is what it took the last time, more if members were added since; an earlier run that did
    not hold them all says nothing.
    """
    with suppress(InputError, KeyError, ZeroDivisionError):
        earlier = read_record(record)
        made_from = earlier.dependencies
        held = [
            row["value"]
            for row in made_from.parameters
            if (row["step"], row["parameter"]) == ("", IN_MEMORY)
        ]
        if held == [True]:
            before = sum(file.size for file in made_from.inputs)
            return float(earlier.run["peak_memory_mb"]) * max(1.0, size / before)
    return AT_REST_MB + GROWTH * size / 1e6
