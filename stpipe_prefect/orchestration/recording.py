"""The products of a run, and beside them its log and the record of how they were made."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from ..datamodel import file_name
from ..products.claims import check_replaceable
from ..products.fingerprint import FileContent
from ..products.ingredients import Ingredients, Row
from ..products.names import folder_path
from ..products.provenance import Record, log_path, record_path, run_name
from ..products.staging import Staging, staged_products
from .inputs import each_model
from .observation import Observation, observing
from .plan import Plan
from .timing import peak_memory_mb, timed_steps


@dataclass(frozen=True)
class Recording:
    """A run that is being recorded.

    Attributes
    ----------
    staging : Staging
    steps : list of dict
        The steps as they end, see `stpipe_prefect.orchestration.timing`.
    observation : Observation
    returned : list of str or None
        File names of what the pipeline returned.
    """

    staging: Staging
    steps: list[Row]
    observation: Observation
    returned: list[str | None] = field(default_factory=list)

    def note_returned(self, result: Any) -> None:
        """Note the names of what the pipeline returned: a model has that of its product."""
        self.returned.extend(file_name(model) for model in each_model(result))


@contextmanager
def recorded_products(
    instance: Any,
    ingredients: Ingredients,
    crds_parameters: Mapping[str, Any],
    data: Any,
    folder: Path,
    log: StringIO,
    *,
    overwrite: bool,
) -> Iterator[Recording]:
    """Collect what a pipeline makes within the block; publish it with its log and record.

    Parameters
    ----------
    instance : Step
        The configured pipeline; it, and those of its steps that have a folder of their own for
        products, are made to write where unfinished products belong.
    ingredients : Ingredients
    crds_parameters : mapping
        What CRDS matches on for the input.
    data : str or data model
        The input.
    folder : pathlib.Path
        For the products.
    log : io.StringIO
        What the steps log.
    overwrite : bool
        Whether products may take the place of what is not an earlier run's.

    Yields
    ------
    Recording

    Raises
    ------
    OutputError
        See `stpipe_prefect.products.staging.staged_products`.
    """
    pipeline = type(instance).class_alias or type(instance).__name__
    name = run_name(file_name(data) or "", pipeline)
    started, begun = datetime.now(UTC), time.monotonic()
    with staged_products(folder, name, needed=_size(data)) as staging, timed_steps() as steps:
        instance.output_dir = str(staging.folder)
        _redirect_steps(instance, staging)
        observation = Observation(instance, ingredients, crds_parameters, staging)
        with observing(observation, instance):
            recording = Recording(staging, steps, observation)
            yield recording
        path = record_path(folder, name)
        if not overwrite:
            check_replaceable(staging.places(), path, ingredients.pipeline)
        log_file = log_path(staging.folder, name)
        log_file.write_text(log.getvalue())
        staging.publish(obsolete=path, besides=[log_file])
        run = {
            "name": name,
            "pipeline": pipeline,
            "flow_run": str(flow_run.id or ""),
            "log": log_file.name,
            "host": socket.gethostname(),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begun, 3),
            "peak_memory_mb": peak_memory_mb(),
            "returned": recording.returned,
        }
        used = replace(
            ingredients, parameters=observation.parameters, references=observation.references
        )
        products = [FileContent.of(product.absolute()) for product in staging.products]
        record = Record(path, used, run, steps, products)
        record.write(by_way_of=staging.folder)


def returned_models(pipeline_class: Any, plan: Plan) -> Any:
    """Open those products of an up-to-date run that it returned; several in a list."""
    models = [pipeline_class._datamodels_open(str(path)) for path in plan.returned or ()]
    return models[0] if len(models) == 1 else models


def _redirect_steps(pipeline: Any, staging: Staging) -> None:
    """Have steps that were given a folder of their own write where they are published from."""
    for name in getattr(pipeline, "step_defs", {}):
        step = getattr(pipeline, name)
        if step.output_dir:
            step.output_dir = str(staging.folder_for(folder_path(step.output_dir)))
        _redirect_steps(step, staging)


def _size(data: Any) -> int:
    return Path(data).stat().st_size if isinstance(data, str) and Path(data).is_file() else 0
