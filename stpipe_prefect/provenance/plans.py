"""What is to be done with an input, and when its record alone tells that this is nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..exceptions import InputError
from ..insertions.insertion import Insertion
from ..parameters.resolution import Layer
from ..references.selection import bad_files
from ..remote.urls import as_urls
from .code import Code
from .collect import fingerprint_without_parameters
from .dependencies import Dependencies, named_files
from .inputs import input_files
from .packages import normalized
from .record import Record, find_run, read_record

NO_PRODUCT = "no product"
UNCLEAR = "its record alone does not tell"


@dataclass(frozen=True)
class Plan:
    """What is to be done with one input by one pipeline.

    Attributes
    ----------
    input, pipeline : str
    reasons : tuple of str
        Why it will run; none if it is up to date.
    products : tuple of pathlib.Path
        What an earlier run made.
    returned : pathlib.Path, list or None
        The product that holds what its pipeline returned, or several; none if it returned
        nothing; None if unknown.
    refusal : str
        Why it will not run, unless it may overwrite what is there; empty if nothing forbids it.
    record : pathlib.Path or None
        Where its record is, or will be; None where that cannot be known.
    degraded, remarks : tuple of str
        What the record of an earlier run says of steps that could not do their work, and of
        caveats.
    shared : str
        With whom its products are shared, or will be: ``"base"``, or a trial.
    """

    input: str
    pipeline: str
    reasons: tuple[str, ...]
    products: tuple[Path, ...] = ()
    refusal: str = ""
    returned: Path | list[Path | None] | None = None
    record: Path | None = None
    degraded: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    shared: str = ""

    @property
    def is_up_to_date(self) -> bool:
        """Whether there is nothing to do."""
        return not self.reasons and not self.refusal

    def __str__(self) -> str:
        if self.refusal:
            return f"refused: {as_urls(self.refusal)}"
        if self.reasons:
            return f"will run: {'; '.join(self.reasons)}"
        return f"shared with {self.shared}" if self.shared else "up to date"

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows."""
        return {
            "input": self.input,
            "pipeline": self.pipeline,
            "up_to_date": self.is_up_to_date,
            "reasons": list(self.reasons),
            "refusal": as_urls(self.refusal),
            "products": [as_urls(str(path)) for path in self.products],
            "degraded": list(self.degraded),
            "caveats": list(self.remarks),
        } | ({"shared": self.shared} if self.shared else {})


class QuickPlanner:
    """Plans runs of a registered pipeline without parameters, and imports no pipeline for it.

    Its plan is up to date only where nothing can be different: the input and the products are
    untouched or the same, and so are the context, the reference files and the code. Anything else
    is for a planner that looks closer.

    Parameters
    ----------
    package, alias : str
        Which registers the pipeline, and as what.
    context : str
        That of the run.
    strict : bool
        Whether products are to be made again of which a step could not do its work.
    between : iterable of Layer
        What is said of its parameters besides code and CRDS.
    insertions : iterable of Insertion
        Steps inserted into it.
    """

    def __init__(
        self,
        package: str,
        alias: str,
        context: str,
        *,
        strict: bool = False,
        between: Iterable[Layer] = (),
        insertions: Iterable[Insertion] = (),
    ) -> None:
        self._package = package
        self._between = tuple(between)
        self._insertions = tuple(insertions)
        self._alias = alias
        self._context = context
        self._strict = strict
        self._code = Code()

    def plan(self, data: Any, folder: Path) -> Plan:
        """Say that nothing is to be done with an input, or that this is unclear."""
        path = find_run(folder, data, self._alias)
        unclear = Plan(Path(data).name, self._alias, (UNCLEAR,), record=path)
        try:
            record = read_record(path)
        except InputError:
            return unclear
        if not self._is_same(record, data, folder) or record.problems():
            return unclear
        products = tuple(Path(product.path) for product in record.products)
        return replace(
            unclear,
            reasons=(),
            products=products,
            degraded=record.degraded,
            remarks=record.remarks,
            shared=record.shared,
        )

    def _is_same(self, record: Record, data: Any, folder: Path) -> bool:
        before = record.dependencies
        return (
            self._is_pipeline_of(record)
            and before.context == self._context
            and not (self._strict and record.degraded)
            and before.code is not None
            and self._code.is_still(before.code)
            and are_untouched(before, input_files(data, folder))
        )

    def _is_pipeline_of(self, record: Record) -> bool:
        """Tell whether the record is of this pipeline, without parameters.

        The alias and the package's version say which class that is.
        """
        before = record.dependencies
        module, _, name = before.pipeline.rpartition(".")
        counting = {row["name"] for row in before.code or () if row["version"]}
        return (
            module.partition(".")[0] == self._package
            and normalized(self._package) in counting
            and record.run.get("pipeline") == self._alias
            and before.request
            == fingerprint_without_parameters(name, self._between, self._insertions)
        )


def are_untouched(before: Dependencies, files: Collection[Path]) -> bool:
    """Tell whether all files of an earlier run are as they were, by their sizes and times.

    The same input and request select the same parameters and references under the same context.
    """
    return (
        bool(files and before.request)
        and not before.opaque
        and [file.path for file in before.inputs] == [str(path) for path in files]
        and all(file.is_untouched for file in before.inputs)
        and all(_is_untouched(row) for row in before.references if "path" in row)
        and not any("missing" in row for row in before.references)
        and all(file.is_untouched for row in before.parameters for file in named_files(row))
        and bad_files(before.observatory).isdisjoint(row["file"] for row in before.references)
    )


def _is_untouched(row: Mapping[str, Any]) -> bool:
    try:
        stat = Path(row["path"]).stat()
    except OSError:
        return False
    return bool((stat.st_size, stat.st_mtime_ns) == (row.get("size"), row.get("mtime_ns")))
