"""What records, logs and quick looks of a folder say: a run for each, an item for each input."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.exceptions import InputError, NoInputError
from stpipe_prefect.outcomes import Outcome, whole_outcome
from stpipe_prefect.provenance.record import SUFFIX, Record, log_path, looks_path, read_record

if TYPE_CHECKING:
    from stpipe_prefect.execution.results import Result

WARNING = re.compile(
    r"^\S+ \S+ - (?P<logger>\S+) - (?P<level>WARNING|ERROR|CRITICAL) - (?P<text>.*)$"
)
LISTED = 20
"""Warnings of a run that are listed."""
_LOOKS = {
    "image": {"jpeg", "pixels", "shape", "low", "high"},
    "spectrum": {"wavelength", "flux", "error", "points", "per_point"},
}
"""What the page needs of a quick look of each kind."""
_PLACES = ("output_dir", "input_dir")
"""Parameters that say nothing of how something was calibrated."""


@dataclass(frozen=True)
class Run:
    """What one record says, without what only programs need.

    Attributes
    ----------
    record : pathlib.Path
    pipeline : str
    outcome : Outcome
    started : datetime
    seconds, memory : float
        Memory in MB.
    context, host : str
    versions : dict of str to str
    inputs, products : tuple of str
        Names of files.
    steps : list of dict
        As the record has them.
    parameters, references : mapping
        Values by ``step.parameter``, and names of files by ``step type``.
    statistics, headers : dict
        By name of the product.
    degraded, remarks : sequence of str
        Steps that could not do their work; caveats.
    is_combined : bool
        Whether its input is an association.
    """

    record: Path
    pipeline: str
    outcome: Outcome
    started: datetime | None
    seconds: float
    memory: float
    context: str
    host: str
    versions: Mapping[str, str]
    inputs: tuple[str, ...]
    products: tuple[str, ...]
    steps: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    references: Mapping[str, str]
    statistics: Mapping[str, Mapping[str, Any]]
    headers: Mapping[str, Mapping[str, Any]]
    degraded: tuple[str, ...]
    remarks: tuple[str, ...]
    is_combined: bool

    @cached_property
    def looks(self) -> Mapping[str, Mapping[str, Any]]:
        """Quick looks by name of the product; the file is large, and only a page shows them."""
        return {name: look for name, look in _looks(self.record).items() if name in self.products}

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of its log, each once; the log is large, and only a page shows them."""
        return _warnings(log_path(self.record))

    @property
    def ended(self) -> datetime | None:
        """When it ended."""
        return self.started and self.started + timedelta(seconds=self.seconds)

    @property
    def header(self) -> Mapping[str, Any]:
        """Facts of its first product."""
        return next(iter(self.headers.values()), {})


@dataclass
class Item:
    """An input, and the runs of the pipelines it went through.

    `failure` says in one line what stopped it, which only the command that ran it knows.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    failure: str = ""
    failed: Outcome | None = None

    @property
    def outcome(self) -> Outcome:
        """What became of it as a whole."""
        return self.failed or whole_outcome({run.outcome for run in self.runs})

    @property
    def header(self) -> Mapping[str, Any]:
        """Facts of its products; the first run that tells counts."""
        return next((run.header for run in self.runs if run.header), {})

    @property
    def is_combined(self) -> bool:
        """Whether it is an association."""
        return any(run.is_combined for run in self.runs)


@dataclass(frozen=True)
class Found:
    """What lies in folders: items by input, and records that could not be read."""

    items: list[Item]
    unreadable: list[str]
    knows_failures: bool

    @property
    def runs(self) -> list[Run]:
        """All runs of all items."""
        return [run for item in self.items for run in item.runs]


def collect(folders: Iterable[Path], results: Sequence[Result] | None = None) -> Found:
    """Read what lies beside products; `results` are of the command that has just made some.

    Raises
    ------
    InputError
        There is no such folder; or no record in it, and no command says what came of its inputs.
    """
    folders = list(dict.fromkeys(folders))
    reading = _Reading()
    for folder in folders:
        if not folder.is_dir():
            raise NoInputError(f"{folder}: no such folder; name one with products in it")
        reading.read(folder)
    if not reading.runs and not reading.unreadable and results is None:
        names = ", ".join(map(str, folders))
        raise InputError(
            f"{names}: no provenance record (*{SUFFIX}) in it; a report needs those that "
            "python -m flows.calwebb writes beside its products"
        )
    items = _by_input(reading.runs)
    for result in results or ():
        if result.failure:
            item = items.setdefault(result.name, Item(result.name))
            item.failure, item.failed = result.failure, result.outcome
    return Found([*items.values()], reading.unreadable, results is not None)


class _Reading:
    """Reads records; what most of them have in common is kept once."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.unreadable: list[str] = []
        self._shared: dict[str, Any] = {}

    def read(self, folder: Path) -> None:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                self.runs.append(self._run(read_record(path)))
            except InputError as error:
                self.unreadable.append(str(error))

    def _run(self, record: Record) -> Run:
        made_from, run = record.dependencies, record.run
        inputs = tuple(Path(file.path).name for file in made_from.inputs)
        code = {row["name"]: row["version"] for row in made_from.code or () if row["version"]}
        return Run(
            record=record.path,
            pipeline=str(run.get("pipeline", made_from.pipeline.rpartition(".")[2])),
            outcome=record.outcome,
            started=_date(run.get("started", "")),
            seconds=run.get("seconds", 0.0),
            memory=run.get("peak_memory_mb", 0.0),
            context=made_from.context,
            host=run.get("host", ""),
            versions=self._once(code or dict(made_from.software)),
            inputs=inputs,
            products=tuple(Path(file.path).name for file in record.products),
            steps=record.steps,
            parameters=self._once(
                {
                    f"{row['step']}.{row['parameter']}".lstrip("."): row["value"]
                    for row in made_from.parameters
                    if row["parameter"] not in _PLACES
                }
            ),
            references=self._once(
                {
                    f"{row['step']} {row['type']}".strip(): row["file"]
                    for row in made_from.references
                }
            ),
            statistics={name: _finite(found) for name, found in record.statistics.items()},
            headers=record.headers,
            degraded=record.degraded,
            remarks=record.remarks,
            is_combined=bool(inputs) and inputs[0].endswith((".json", ".yaml", ".yml")),
        )

    def _once(self, content: Any) -> Any:
        return self._shared.setdefault(json.dumps(content, default=str), content)


def _by_input(runs: Iterable[Run]) -> dict[str, Item]:
    """Put the runs that follow one another together, under the name of the first one's input."""
    runs = sorted(runs, key=lambda run: (run.started is not None, str(run.started)))
    maker = {name: run for run in runs for name in run.products}
    items: dict[str, Item] = {}
    for run in runs:
        first, seen = run, {id(run)}
        while not first.is_combined and first.inputs:
            before = maker.get(first.inputs[0])
            if before is None or before.is_combined or id(before) in seen:
                break
            seen.add(id(before))
            first = before
        name = first.inputs[0] if first.inputs else first.record.name
        items.setdefault(name, Item(name)).runs.append(run)
    return dict(sorted(items.items()))


def _finite(found: Mapping[str, float | None]) -> dict[str, float | None]:
    """Take what is infinite or no number for absent: JSON of browsers has neither."""
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in found.items()
    }


def _looks(record: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError, AttributeError, TypeError):  # it is damaged
        found = json.loads(looks_path(record).read_text())
        return {name: look for name, look in found.items() if _LOOKS[look["kind"]] <= look.keys()}
    return {}


def _warnings(log: Path) -> tuple[str, ...]:
    found: dict[str, None] = {}
    with suppress(OSError, UnicodeDecodeError), log.open() as lines:
        for line in lines:
            if match := WARNING.match(line):
                found[f"{match['level']} {match['logger']}: {match['text'].strip()}"] = None
    kept = [*found][:LISTED]
    return (*kept, *([f"… and {len(found) - LISTED} more"] if len(found) > LISTED else []))


def _date(text: str) -> datetime | None:
    with suppress(ValueError):
        date = datetime.fromisoformat(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None
