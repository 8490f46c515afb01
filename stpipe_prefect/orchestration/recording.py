"""Publishes the products of a run, with its log and the record of how they were made."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from ..datamodel import file_name, is_library, is_sequence
from ..execution.timing import peak_memory_mb, timed_steps
from ..outcomes import Outcome
from ..products.names import folder_path
from ..products.staging import Staging, staged_products
from ..provenance.collect import class_path
from ..provenance.dependencies import Dependencies, Row
from ..provenance.fingerprint import FileContent
from ..provenance.inputs import each_model
from ..provenance.inserted import not_run
from ..provenance.ownership import check_readable, check_replaceable, claims_of_others
from ..provenance.record import (
    Record,
    degraded_inputs,
    dropped_members,
    files_beside,
    find_run,
    log_path,
    looks_path,
    record_path,
    run_name,
)
from ..provenance.statistics import caveats_of
from ..remote.urls import as_urls
from .observation import Observation, observing


@dataclass
class Recording:
    """A run that is being recorded: its steps as they end, and what is recorded of it besides.

    `record` is there when all is published.
    """

    staging: Staging
    steps: list[Row]
    observation: Observation
    dropped: list[Row] = field(default_factory=list)
    run: Row = field(default_factory=dict)
    record: Record = field(init=False)

    @property
    def caveats(self) -> list[Row]:
        """List what readers of the products should know."""
        of_steps = [
            {"caveat": "did not apply", "step": row["step"], "reason": row["reason"]}
            for row in self.steps
            if row["outcome"] == Outcome.SKIPPED and "reason" in row
        ]
        of_products = [
            {"caveat": caveat, "product": name, "reason": why}
            for name, found in self.statistics.items()
            for caveat, why in caveats_of(found)
        ]
        of_inputs = [*self.dropped, *degraded_inputs(self.observation.inputs)]
        of_insertions = not_run(self.observation.insertions, self.steps)
        return [*of_inputs, *of_steps, *of_insertions, *of_products]

    @property
    def statistics(self) -> dict[str, Row]:
        """Statistics of the products; what was saved elsewhere is none."""
        return self.of_products(self.observation.statistics)

    def of_products(self, rows: Mapping[str, Row]) -> dict[str, Row]:
        """Take what is known of products; what was saved elsewhere is none."""
        products = {product.name for product in self.staging.products}
        return {name: row for name, row in rows.items() if name in products}

    def note_returned(self, result: Any) -> None:
        """Note the names of what the pipeline returned: a model has that of its product.

        One name; several in a list; an empty list, if nothing; None if unknown.
        """
        models = () if result is None else each_model(result)
        names = [None if model is None else file_name(model) or "" for model in models]
        if "" in names:
            self.run["returned"] = None
        elif names and (is_library(result) or is_sequence(result)):
            self.run["returned"] = names
        else:
            self.run["returned"] = names[0] if names else []


@contextmanager
def recorded_products(
    instance: Any,
    dependencies: Dependencies,
    crds_parameters: Mapping[str, Any],
    data: Any,
    folder: Path,
    log: StringIO,
    *,
    output_file: Any,
    overwrite: bool,
) -> Iterator[Recording]:
    """Collect what a pipeline makes within the block; publish it with its log and record.

    The pipeline, and those of its steps that have a folder of their own for products, are made
    to write where unfinished products belong. Unless it may overwrite, nothing takes the place
    of what is not an earlier run's.
    """
    pipeline = type(instance).class_alias or type(instance).__name__
    name = run_name(data, pipeline, output_file)
    path, earlier = record_path(folder, name), find_run(folder, data, pipeline, output_file)
    check_readable(earlier)
    started, begun = datetime.now(UTC), time.monotonic()
    with staged_products(folder, name, needed=_size(data)) as staging, timed_steps() as steps:
        instance.output_dir = str(staging.folder)
        _redirect_steps(instance, staging)
        observation = Observation(instance, dependencies, crds_parameters, staging)
        with observing(observation, instance):
            recording = Recording(staging, steps, observation, dropped_members(data))
            yield recording
        places = staging.places()
        others = claims_of_others(places, earlier)
        if not overwrite:
            check_replaceable(places, earlier, dependencies.pipeline, others)
        log_file = log_path(record_path(staging.folder, name))
        log_file.write_text(as_urls(log.getvalue()))
        replaced = {earlier, *(record.path for record, _ in others)} - {path}
        about = {file for record in (path, *replaced) for file in files_beside(record)}
        obsolete = {path, *replaced, *about}
        extra = [log_file, *_looks_file(looks_path(record_path(staging.folder, name)), observation)]
        staging.publish(obsolete=obsolete, extra=extra)
        run = {
            "name": name,
            "pipeline": pipeline,
            "bases": [class_path(each) for each in _bases(type(instance))],
            "flow_run": str(flow_run.id or ""),
            "log": log_file.name,
            "host": socket.gethostname(),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begun, 3),
            "peak_memory_mb": peak_memory_mb(),
            **recording.run,
        }
        used = replace(
            dependencies, parameters=observation.parameters, references=observation.references
        )
        products = [FileContent.of(product.absolute()) for product in staging.products]
        recording.record = Record(
            path,
            used,
            run,
            steps,
            products,
            caveats=recording.caveats,
            statistics=recording.statistics,
            headers=recording.of_products(observation.headers),
        )
        recording.record.write(by_way_of=staging.folder)


def _looks_file(path: Path, observation: Observation) -> list[Path]:
    """Write the quick looks of what was saved; no file without any."""
    looks = observation.looks
    if looks:
        path.write_text(json.dumps(looks))
    return [path] if looks else []


def models_of(pipeline_class: Any, returned: Any, products: Iterable[Path]) -> Any:
    """Open what a run returned; of one that returned nothing, all products that are models."""
    if isinstance(returned, Path):
        return pipeline_class._datamodels_open(str(returned))
    if returned:
        return [path and models_of(pipeline_class, path, ()) for path in returned]
    models = []
    for path in products:
        with suppress(Exception):  # catalogues and the like
            models.append(models_of(pipeline_class, path, ()))
    return models


def _bases(pipeline_class: type) -> list[type]:
    """List those classes that a pipeline is derived from which are pipelines themselves."""
    bases = [each for each in pipeline_class.__mro__[1:] if getattr(each, "class_alias", None)]
    return [each for each in bases if class_path(each) != class_path(pipeline_class)]


def _redirect_steps(pipeline: Any, staging: Staging) -> None:
    """Have steps that were given a folder of their own write where they are published from."""
    for name in getattr(pipeline, "step_defs", {}):
        step = getattr(pipeline, name)
        if step.output_dir:
            step.output_dir = str(staging.folder_for(folder_path(step.output_dir)))
        _redirect_steps(step, staging)


def _size(data: Any) -> int:
    return Path(data).stat().st_size if isinstance(data, str) and Path(data).is_file() else 0
