"""What would run, and why: each run compared with the record of an earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ..datamodel import file_name
from ..exceptions import (
    ContextError,
    CrdsServerError,
    InputError,
    ReferenceFileError,
    UsageError,
    nearest,
)
from ..execution.events import DownloadProgress, report
from ..parameters.resolution import ResolvedParameter, resolve
from ..products.staging import was_interrupted
from ..provenance.code import Code
from ..provenance.collect import class_path, fingerprint_of_request, gather
from ..provenance.dependencies import (
    ASPECTS,
    Dependencies,
    differences,
    mission_of,
)
from ..provenance.fingerprint import FileContent
from ..provenance.inputs import first_exposure, input_contents, input_files, opened_input
from ..provenance.ownership import changed_since, made_by_another, replaced
from ..provenance.packages import versions
from ..provenance.plans import NO_PRODUCT, Plan, are_untouched
from ..provenance.record import (
    SUFFIX,
    Record,
    UnreadableRecordError,
    find_run,
    read_record,
    run_name,
)
from ..provenance.sharing import is_shareable, share_run
from ..references.cache import prefetch, refuse_absent
from ..references.context import pinned_context
from ..references.needs import files_needed, parameter_files, read_crds_parameters
from .request import Request

INTERRUPTED = "interrupted"


class Planner:
    """Plans runs of one pipeline with the same parameters, under the same context.

    Parameters
    ----------
    request : Request
        The parameters of the runs.
    crds_context : str, optional
        As `stpipe_prefect.references.context.resolve_context` takes it.
    ignore : collection of str
        What may be different: some of ``"inputs"``, ``"parameters"``, ``"references"``,
        ``"versions"``.
    strict : bool
        Whether products are to be made again of which a step could not do its work.

    Raises
    ------
    UsageError
        There is nothing of that name to ignore.
    """

    def __init__(
        self,
        request: Request,
        crds_context: str | None = None,
        ignore: Collection[str] = (),
        *,
        strict: bool = False,
    ) -> None:
        for aspect in ignore:
            if aspect not in ASPECTS:
                raise UsageError(
                    f"{aspect!r} cannot be ignored{nearest(aspect, ASPECTS)}: "
                    f"choose from {', '.join(ASPECTS)}"
                )
        self._request = request
        self._class = request.pipeline_class
        self._pipeline = self._class.class_alias or self._class.__name__
        self._crds_context = crds_context
        self._ignore = ignore
        self._strict = strict
        self._fingerprint = fingerprint_of_request(
            {"given": request.given, "frozen": request.frozen, "opaque": request.opaque},
            request.between,
            request.config_file,
            self._class,
        )
        self._code = Code()
        self._pinned = ExitStack()
        self._contexts: dict[str, str] = {}
        self._records: dict[Path, dict[str, list[Path]]] = {}
        self._open: tuple[Any, tuple[list[FileContent], list[str]]] | None = None
        self._configured: dict[tuple[str, ...], tuple[Any, list[ResolvedParameter]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pinned.close()

    def plan(self, data: Any, folder: Path) -> Plan:
        """Say whether an input is to be processed into products in a folder, and why."""
        label = file_name(data) or type(data).__name__
        output_file = self._request.says("output_file")
        path = find_run(folder, data, self._pipeline, output_file)
        new = Plan(label, self._pipeline, (NO_PRODUCT,), record=path)
        if not path.exists():
            name = run_name(data, self._pipeline, output_file)
            why = INTERRUPTED if was_interrupted(folder, name) else NO_PRODUCT
            return replace(new, reasons=(why,), refusal=self._taken(path))
        try:
            record = read_record(path)
        except UnreadableRecordError as error:
            return replace(new, reasons=(), refusal=str(error))
        except InputError as error:
            return replace(new, reasons=(str(error).removeprefix(f"{path}: "),))
        products = tuple(Path(product.path) for product in record.products)
        refusal = made_by_another(record, class_path(self._class)) or changed_since(record)
        changed = [] if refusal else record.problems()
        reasons = [*changed, *self._differences(record, data, folder)]
        if self._strict:
            reasons += [f"degraded: {step}" for step in record.degraded]
        return replace(
            new,
            reasons=tuple(reasons),
            products=products,
            refusal=refusal,
            returned=_returned(record, products),
            degraded=record.degraded,
            remarks=record.remarks,
            shared=record.shared,
        )

    def shareable(self, data: str | Path, folder: Path, others: Mapping[str, Path]) -> Plan | None:
        """Find another folder that has what a run into this one would make.

        Parameters
        ----------
        data : path
            The input.
        folder : pathlib.Path
            That of the run.
        others : mapping of str to pathlib.Path
            The other folders, by what to call them.

        Returns
        -------
        Plan or None
            With the products and the record there.
        """
        output_file = self._request.says("output_file")
        for origin, other in others.items():
            try:
                record = read_record(find_run(other, data, self._pipeline, output_file))
            except InputError:
                continue
            if (
                made_by_another(record, class_path(self._class))
                or not is_shareable(record)
                or (self._strict and record.degraded)
                or record.problems()
                or self._differences(record, data, folder)
            ):
                continue
            return Plan(
                Path(data).name,
                self._pipeline,
                (),
                tuple(Path(product.path) for product in record.products),
                record=record.path,
                degraded=record.degraded,
                remarks=record.remarks,
                shared=origin,
            )
        return None

    def share(self, plan: Plan, data: str | Path, folder: Path) -> Plan:
        """Have a folder share what a plan found elsewhere; see `shareable`."""
        assert plan.record is not None
        record = read_record(plan.record)
        inputs, _ = self._contents(data, folder, record.dependencies)
        made_from = replace(record.dependencies, inputs=inputs, request=self._fingerprint)
        there = share_run(record, folder, made_from, origin=plan.shared)
        products = tuple(Path(product.path) for product in there.products)
        return replace(plan, products=products, record=there.path)

    def checked(self, plan: Plan, data: Any, folder: Path) -> Plan:
        """Refuse a run for which files are absent: members, or references nobody can fetch."""
        if plan.is_up_to_date or plan.refusal:
            return plan
        try:
            self._check_files(data, folder)
        except (ContextError, CrdsServerError):
            raise
        except (InputError, ReferenceFileError) as error:
            return replace(plan, refusal=str(error))
        return plan

    def _check_files(self, data: Any, folder: Path) -> None:
        with opened_input(data, folder) as opened:
            exposure = first_exposure(opened, folder)
            crds_parameters, observatory = read_crds_parameters(self._class, exposure)
            instance, _ = self.configured(crds_parameters, observatory)
            context = self.pinned_context(observatory)
            refuse_absent(files_needed(instance, opened, crds_parameters, observatory, context))

    def gather(
        self,
        instance: Any,
        parameters: Iterable[ResolvedParameter],
        data: Any,
        folder: Path,
        crds_parameters: Mapping[str, Any],
        observatory: str,
        before: Dependencies | None = None,
    ) -> Dependencies:
        """Collect what a configured pipeline will make its products from; see `gather`."""
        inputs, opaque = self._contents(data, folder, before)
        gathered = gather(
            instance,
            parameters,
            inputs,
            crds_parameters,
            self._code,
            observatory=observatory,
            context=self.pinned_context(observatory),
            request=self._fingerprint,
            before=before,
        )
        return replace(gathered, opaque=[*opaque, *self._request.opaque, *gathered.opaque])

    def _contents(
        self, data: Any, folder: Path, before: Dependencies | None
    ) -> tuple[list[FileContent], list[str]]:
        """Describe the input; open models once, as that takes its time."""
        known = {file.path: file for file in before.inputs} if before else {}
        if isinstance(data, (str, Path)):
            return input_contents(data, folder, known)
        if self._open is None or self._open[0] is not data:
            self._open = (data, input_contents(data, folder, known))
        return self._open[1]

    def pinned_context(self, observatory: str) -> str:
        """Name the context, the same until the planner is closed."""
        if observatory not in self._contexts:
            pinned = pinned_context(observatory, self._crds_context)
            self._contexts[observatory] = self._pinned.enter_context(pinned)
        return self._contexts[observatory]

    def configured(
        self, crds_parameters: Mapping[str, Any], observatory: str
    ) -> tuple[Any, list[ResolvedParameter]]:
        """Make the pipeline with its merged parameters, and say where they come from.

        Once for all exposures with the same parameter files: who runs it has a planner for that.
        """
        context = self.pinned_context(observatory)
        files = []
        if self._request.frozen is None:
            files = parameter_files(self._class, crds_parameters, observatory, context)
        key = tuple(sorted(file.name for file in files))
        if key not in self._configured:
            # Upstream's stpipe goes on with the code's defaults where one is missing.
            refuse_absent(files)
            for file in files:
                prefetch(file, _report_download)
            layers = self._request.layers(crds_parameters, observatory, context)
            instance = self._request.configure(crds_parameters, observatory)
            self._configured[key] = (instance, resolve(instance, layers))
        return self._configured[key]

    def _taken(self, own: Path) -> str:
        """Say that a derived pipeline, or this one from a single exposure, made these products."""
        folder, made = own.parent, own.name.removesuffix(SUFFIX).rpartition(".")[0]
        if folder not in self._records:
            self._records[folder] = defaultdict(list)
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                stem, _, _ = path.name.removesuffix(SUFFIX).rpartition(".")
                self._records[folder][stem].append(path)
        for record in _readable(self._records[folder].get(made, ())):
            if class_path(self._class) in record.run.get("bases", ()):
                return made_by_another(record, class_path(self._class))
        return self._made_without_association(folder, made)

    def _made_without_association(self, folder: Path, name: str) -> str:
        """Say that this pipeline made the products of this name from a single exposure."""
        for stem, paths in self._records[folder].items():
            if not stem.startswith(f"{name}_"):
                continue
            for record in _readable(paths):
                if record.dependencies.pipeline != class_path(self._class):
                    continue
                for product in record.products:
                    is_same = Path(product.path).stem.rpartition("_")[0] == name
                    if is_same and (why := replaced(record, product)):
                        return why
        return ""

    def _differences(self, record: Record, data: Any, folder: Path) -> list[str]:
        before = record.dependencies
        files = input_files(data, folder)
        missing = [f"input {path.name} is missing" for path in files if not path.exists()]
        if missing or self._is_clearly_same(before, files):
            return missing
        exposure = first_exposure(data, folder)
        crds_parameters, observatory = read_crds_parameters(self._class, exposure)
        instance, settings = self.configured(crds_parameters, observatory)
        now = self.gather(instance, settings, data, folder, crds_parameters, observatory, before)
        return list(differences(before, now, self._ignore))

    def _is_clearly_same(self, before: Dependencies, files: list[Path]) -> bool:
        return (
            self._fingerprint == before.request
            and class_path(self._class) == before.pipeline
            and self.pinned_context(before.observatory) == before.context
            and ("versions" in self._ignore or self._is_same_code(before))
            and are_untouched(before, files)
        )

    def _is_same_code(self, before: Dependencies) -> bool:
        if before.code is not None:
            return self._code.is_still(before.code)
        return before.software.items() <= versions(mission_of(self._class)).items()


def _readable(paths: Iterable[Path]) -> Iterator[Record]:
    for path in paths:
        with suppress(InputError):
            yield read_record(path)


def _report_download(file: str, received: int, size: int) -> None:
    report(DownloadProgress(file, received, size))


def _returned(record: Record, products: tuple[Path, ...]) -> Path | list[Path | None] | None:
    by_name: dict[str | None, Path | None] = {path.name: path for path in products} | {None: None}
    names = record.run.get("returned")
    if not isinstance(names, list):
        return by_name.get(names)
    return [by_name[name] for name in names] if by_name.keys() >= {*names} else None
