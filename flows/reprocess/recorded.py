"""Classes of one's own in the records of an archive: its products are made again with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from flows.calibrate.between import step_between, with_classes, with_step
from flows.calibrate.job import Job
from flows.calibrate.mission import Mission
from stpipe_prefect.association import is_association
from stpipe_prefect.exceptions import InputError, StpipePrefectError, UsageError, reason
from stpipe_prefect.insertions.derived import with_insertions
from stpipe_prefect.insertions.insertion import Insertion, is_of_insertion
from stpipe_prefect.provenance.collect import class_path
from stpipe_prefect.provenance.dependencies import planned, row_name
from stpipe_prefect.provenance.inserted import insertion_of
from stpipe_prefect.provenance.record import SUFFIX, Record, read_record, run_name

Listed = dict[str, dict[str, Path]]
"""Records of a folder: for the name of what each is of, by the alias of its pipeline."""


class Recorded:
    """Has jobs run what their records name: inserted steps, steps between pipelines, other classes.

    Attributes
    ----------
    refused : dict of pathlib.Path to UsageError
        Inputs whose records name what cannot run here.
    """

    def __init__(self, mission: Mission) -> None:
        self.refused: dict[Path, UsageError] = {}
        self._mission = mission
        self._folders: dict[Path, Listed] = {}
        self._problems: dict[str, str] = {}

    def adapted(self, jobs: Iterable[Job]) -> list[Job]:
        """Adapt jobs; those that are refused are left out."""
        found = []
        for job in jobs:
            try:
                found.append(self._adapted(job))
            except UsageError as error:
                self.refused[job.input] = error
        return found

    def _adapted(self, job: Job) -> Job:
        adapted = job
        classes: dict[str, str] = {}
        inserts: dict[str, tuple[Insertion, ...]] = {}
        data, root = job.input, job.input.stem.rpartition("_")[0]
        is_single = not is_association(job.input)
        for number, name in enumerate(job.pipelines):
            made = "".join(job.handed_on[number : number + 1])
            product = data.with_name(f"{root}_{made}{job.input.suffix}")
            if is_single:
                for record in self._between(data, name, product):
                    place = {"after": job.pipelines[number - 1]} if number else {"before": name}
                    adapted = self._with_step(adapted, record, place)
                    data = _product(record)
            if run := self._run_of(data, name, product):
                title, inserted = self._title(run, name), _insertions(run)
                self._check(run, job, title, inserted)
                classes[name] = title
                inserts |= {title: inserted} if inserted else {}
            if not made:
                break
            data = product
        else:
            for record in self._between(data) if is_single else ():
                adapted = self._with_step(adapted, record, {"after": job.pipelines[-1]})
        adapted = with_classes(adapted, classes)
        return replace(adapted, inserts={**adapted.inserts, **inserts})

    def _with_step(self, job: Job, record: Record, place: dict[str, str]) -> Job:
        """Have a job go through the step between pipelines that made a product."""
        from flows.calibrate.campaign_file import Insert  # which imports pydantic

        path = record.dependencies.pipeline
        self._check(record, job, path)
        parameters, source = _given(record, "")
        said: dict[str, Any] = {**place, "step": path, "parameters": parameters}
        insert = Insert.model_construct(**said)
        try:
            return with_step(job, step_between(insert, "insert", self._mission), source)
        except UsageError as error:
            raise self._refusal(record, job, str(error)) from error

    def _between(
        self, data: Path, name: str | None = None, product: Path | None = None
    ) -> list[Record]:
        """List the steps between pipelines that led from a file to what a pipeline read of it."""
        return self._chain(data, name, product, ())[0]

    def _chain(
        self, data: Path, name: str | None, product: Path | None, before: tuple[Path, ...]
    ) -> tuple[list[Record], tuple[float, int, float]]:
        """Go all ways that records tell; the pipeline itself went the one of its newest record."""
        ways: list[tuple[list[Record], tuple[float, int, float]]] = []
        for record in self._others(data):
            if _own_suffix(record) and _product(record) not in (data, *before):
                steps, (time, *_) = self._chain(_product(record), name, product, (data, *before))
                steps = [record, *steps]
                ways.append((steps, (time, len(steps), _time(record))))
        run = self._run_of(data, name, product) if ways and name and product else None
        ways.append(([], (_time(run) if run else 0.0, 0, 0.0)))
        return max(ways, key=lambda way: way[1])

    def _run_of(self, data: Path, name: str, product: Path) -> Record | None:
        """Find the newest run of a pipeline, or of a class in its place, on a file."""
        found = [each for each in self._others(data) if self._is_in_place(each, name, product)]
        if path := self._named(data).get(name):
            with suppress(InputError):  # its plan says so
                found.append(read_record(path))
        return max(found, key=_time, default=None)

    def _others(self, data: Path) -> Iterator[Record]:
        """Read the records of runs on a file of what is no pipeline of the mission."""
        for alias, path in self._named(data).items():
            if alias not in self._mission.pipelines:
                with suppress(InputError):
                    yield read_record(path)

    def _is_in_place(self, record: Record, name: str, product: Path) -> bool:
        """Tell whether a class with an alias of its own ran in the place of a pipeline."""
        if any(Path(made.path).name == product.name for made in record.products):
            return True
        bases = record.run.get("bases", ())
        return bool(bases) and class_path(self._mission.find_pipeline(name)) in bases

    def _title(self, record: Record, name: str) -> str:
        """Name the pipeline itself, or the class that ran in its place."""
        path = record.dependencies.pipeline
        return name if path.partition(".")[0] == self._mission.package else path

    def _named(self, data: Path) -> dict[str, Path]:
        if data.parent not in self._folders:
            self._folders[data.parent] = _listed(data.parent)
        try:
            stem = run_name(str(data), "any").rpartition(".")[0]
        except InputError:  # an association that cannot be read: its plan says so
            return {}
        return self._folders[data.parent].get(stem, {})

    def _check(
        self, record: Record, job: Job, name: str, inserts: tuple[Insertion, ...] = ()
    ) -> None:
        """Refuse what cannot be imported, or may not be."""
        key = f"{name} {inserts}"
        if key not in self._problems:
            self._problems[key] = self._problem(name, inserts)
        if problem := self._problems[key]:
            raise self._refusal(record, job, problem)

    def _problem(self, name: str, inserts: tuple[Insertion, ...]) -> str:
        paths = [each.path for each in inserts] + ([name] if "." in name else [])
        if not paths:
            return ""
        from stpipe_prefect.orchestration.deployments import check_classes

        try:
            check_classes("reprocess", paths)
            with_insertions(self._mission.find_pipeline(name), inserts)
        except StpipePrefectError as error:
            return str(error)
        except Exception as error:  # whatever their modules raise; other exposures are no worse
            return f"{', '.join(paths)}: {type(error).__name__}: {reason(error)}"
        return ""

    def _refusal(self, record: Record, job: Job, problem: str) -> UsageError:
        return UsageError(
            f"{record.path}: {'; '.join(problem.splitlines())}: products are made again with the "
            "classes in their records: install these or set PYTHONPATH, or calibrate "
            f"{job.input.name} in another way by python -m flows.{self._mission.command} "
            "--overwrite"
        )


def know_suffixes(folders: Collection[Path], mission: Mission) -> None:
    """Have a mission know the products of steps between its pipelines, as records name them.

    Associations of these are read as such only afterwards.
    """
    for folder in folders if mission.know_suffix else ():
        for runs in _listed(folder).values():
            for path in (path for alias, path in runs.items() if alias not in mission.pipelines):
                with suppress(InputError, ValueError, ImportError):  # who plans it says so
                    if suffix := _own_suffix(read_record(path)):
                        resolve_name(str(mission.know_suffix))(suffix)


def _listed(folder: Path) -> Listed:
    found: Listed = {}
    for path in folder.glob(f"*{SUFFIX}"):
        stem, _, alias = path.name.removesuffix(SUFFIX).rpartition(".")
        found.setdefault(stem, {})[alias] = path
    return found


def _own_suffix(record: Record) -> str:
    """Give the suffix of the products, if a campaign file put the step between two pipelines."""
    return str(_given(record, "")[0].get("suffix", ""))


def _product(record: Record) -> Path:
    """Say what a step between two pipelines makes."""
    data = Path(record.dependencies.inputs[0].path)
    root = data.stem.rpartition("_")[0]
    return record.path.with_name(f"{root}_{_own_suffix(record)}{data.suffix}")


def _insertions(record: Record) -> tuple[Insertion, ...]:
    """Make the steps that were inserted, with the parameters that they were inserted with."""
    return tuple(map(partial(_insertion, record), record.dependencies.insertions))


def _insertion(record: Record, row: dict[str, str]) -> Insertion:
    insertion = insertion_of(row)
    parameters, source = _given(record, row["step"])
    return replace(insertion, parameters=parameters, source=source or insertion.source)


def _given(record: Record, step: str) -> tuple[dict[str, Any], str]:
    """Give the parameters that a step was inserted with, and what the record calls their source."""
    given: dict[str, Any] = {}
    source = ""
    for row in record.dependencies.parameters:
        path = row["step"].split(".") if row["step"] else []
        if not is_of_insertion(row["source"]) or (step and path[:1] != [step]):
            continue
        if f"parameter {row_name(row)}" in record.dependencies.opaque:
            raise UsageError(
                f"{record.path}: parameter {row_name(row)} was given as an object, of which the "
                "record has only the type: give its dotted path, and --overwrite"
            )
        section, source = given, row["source"]
        for name in path[1:] if step else path:
            section = section.setdefault("steps", {}).setdefault(name, {})
        section[row["parameter"]] = planned(row)
    return given, source


def _time(record: Record) -> float:
    return record.path.stat().st_mtime
