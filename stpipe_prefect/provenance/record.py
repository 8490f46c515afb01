"""The provenance record: beside the products, how they were made; written last.

Its schema is described in docs/provenance.md. It is also what planning compares with: where the
record holds, nothing needs to be made again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from glob import escape
from pathlib import Path
from typing import Any

from ..association import DROPPED, association_of
from ..datamodel import file_name, is_sequence
from ..exceptions import InputError, NoInputError, reason
from ..outcomes import Outcome
from ..products.names import shortened
from ..products.staging import synced
from ..remote.urls import as_urls
from .dependencies import Dependencies, Row
from .fingerprint import FileContent, fingerprint
from .inputs import product_names
from .record_schema import mismatch

SCHEMA = "stpipe_prefect/provenance-2.0.0"
_EDITIONS = re.compile(r"stpipe_prefect/provenance-[12]\.\d+\.\d+")
"""What can be read: fields that this version does not know are left out."""
DEGRADED_INPUT = "degraded input"
SUFFIX = ".provenance.json"
LOG_SUFFIX = ".log"
LOOKS_SUFFIX = ".quicklook.json"
_LONGEST_STEM = 200
"""Bytes; file systems have at most 255 for a name, pipeline and suffix included."""


@dataclass(frozen=True)
class Record:
    """What is kept of a run that was successful.

    Attributes
    ----------
    path : pathlib.Path
        Where it is.
    dependencies : Dependencies
    run : dict
        ``name``, ``pipeline``, ``bases`` (pipelines its class is derived from), ``outcome``,
        ``flow_run``, ``log`` (file name of what the steps logged, beside the record), ``host``,
        ``started``, ``seconds``, ``peak_memory_mb``; ``shared``, if another folder's products are
        shared: ``"base"``, or the trial's.
    steps : list of dict
        ``step``, ``outcome``, ``seconds`` and ``peak_memory_mb`` of each that ran; of one that
        is ``Degraded``, also the ``reason``.
    products : list of FileContent
        With their full paths.
    fingerprint : str
        As the file has it; of a new record, that of its dependencies.
    caveats : list of dict
        What a reader of the products should know: ``caveat``, ``reason``, and the ``step``,
        ``product`` or ``input`` that it is about.
    statistics : dict of str to dict
        Of each product with data, its statistics by name; see `.statistics`.
    headers : dict of str to dict
        Of each product that is a data model, facts of its header; see `.models`.
    """

    path: Path
    dependencies: Dependencies
    run: Row
    steps: list[Row]
    products: list[FileContent]
    fingerprint: str | None = None
    caveats: list[Row] = field(default_factory=list)
    statistics: dict[str, Row] = field(default_factory=dict)
    headers: dict[str, Row] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """What became of the run: ``Degraded`` if a step could not do its work."""
        return Outcome.DEGRADED if self.degraded else Outcome.COMPLETED

    @property
    def degraded(self) -> tuple[str, ...]:
        """Say of each step that could not do its work which it was, and why."""
        return tuple(
            f"{row['step']}: {row['reason']}"
            for row in self.steps
            if row["outcome"] == Outcome.DEGRADED
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say each caveat in a line."""
        return tuple(
            f"{row.get('step') or row.get('product') or row['input']}: "
            + ": ".join(text for text in (row["caveat"], row["reason"]) if text)
            for row in self.caveats
        )

    @property
    def shared(self) -> str:
        """With whom its products are shared; empty if it made them."""
        return str(self.run.get("shared", ""))

    def names(self, product: Path) -> bool:
        """Tell whether a file, by its name, is among the products."""
        return any(Path(made.path).name == product.name for made in self.products)

    def problems(self, *, verify: bool = False) -> list[str]:
        """Say which products are missing or damaged.

        To verify is to read them all, even those that look untouched, and to compare the
        fingerprint of the record with what it lists.
        """
        found = []
        if verify and self.fingerprint not in (None, self.dependencies.fingerprint):
            found.append(
                f"record {self.path.name} was changed: its fingerprint is not that of the inputs, "
                "parameters, references and code it lists"
            )
        for product in self.products:
            if not Path(product.path).is_file():
                found.append(f"product {Path(product.path).name} is missing")
            elif not (product.is_verified if verify else product.is_intact):
                found.append(f"product {Path(product.path).name} is damaged")
        return found

    def write(self, by_way_of: Path) -> None:
        """Write it into a folder of the same file system, then move it to its place."""
        temporary = by_way_of / self.path.name
        temporary.write_text(self.as_text())
        synced(temporary)
        temporary.replace(self.path)
        synced(self.path.parent)

    def as_text(self) -> str:
        """Give the text of the file."""
        return as_urls(json.dumps(self.as_json(), indent=1, ensure_ascii=False)) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Give the content of the file."""
        folder = self.path.parent.absolute()
        dependencies = {
            item.name: getattr(self.dependencies, item.name) for item in fields(Dependencies)
        }
        return {
            "schema": SCHEMA,
            "fingerprint": (
                self.dependencies.fingerprint if self.fingerprint is None else self.fingerprint
            ),
            "run": {**self.run, "outcome": str(self.outcome)},
            **dependencies,
            "inputs": [file.as_json() for file in self.dependencies.inputs],
            "steps": self.steps,
            "caveats": self.caveats,
            "statistics": self.statistics,
            "headers": self.headers,
            "products": [
                replace(file, path=_beside(Path(file.path), folder)).as_json()
                for file in self.products
            ],
        }


def record_path(folder: Path, name: str) -> Path:
    """Say where the record of a run is."""
    return folder / f"{name}{SUFFIX}"


def log_path(record: Path) -> Path:
    """Say where the log of the run with this record is."""
    return record.with_name(f"{record.name.removesuffix(SUFFIX)}{LOG_SUFFIX}")


def looks_path(record: Path) -> Path:
    """Say where the quick looks of the run with this record are."""
    return record.with_name(f"{record.name.removesuffix(SUFFIX)}{LOOKS_SUFFIX}")


def files_beside(record: Path) -> tuple[Path, ...]:
    """List what a run writes about itself beside its record; not each is there."""
    return log_path(record), looks_path(record)


def run_name(data: Any, pipeline: str, output_file: Any = None) -> str:
    """Name a run after what it makes: two of the same name make the same products.

    These are named after the ``output_file``, the products of an association, or the input; cut,
    so that also the record's name is not too long.
    """
    return _run_name(_named_after(data, output_file), pipeline)


def find_run(folder: Path, data: Any, pipeline: str, output_file: Any = None) -> Path:
    """Say where the record of a run is, or will be.

    Records of the first edition are named after the input, also where the products are not.
    """
    made_of, named_after = Path(file_name(data) or "").stem, _named_after(data, output_file)
    path = record_path(folder, _run_name(named_after, pipeline))
    earlier = record_path(folder, _run_name(made_of, pipeline))
    if path == earlier or path.exists() or not earlier.exists():
        return path
    try:
        made = [Path(product.path).name for product in read_record(earlier).products]
    except InputError:
        return path
    stem = named_after.partition("+")[0]
    return earlier if any(product.startswith(stem) for product in made) else path


def _run_name(stem: str, pipeline: str) -> str:
    stem = shortened(stem, _LONGEST_STEM)
    return f"{stem}.{pipeline}" if stem else pipeline


def _named_after(data: Any, output_file: Any) -> str:
    if output_file:
        return Path(output_file).stem
    first, *others = product_names(data) or [""]
    if first:
        which = fingerprint(others)[:6]  # associations may share their first product
        return Path(first).name + (f"+{len(others)}-{which}" if others else "")
    return Path(file_name(data) or "").stem


class UnreadableRecordError(InputError):
    """A record that this user may not read: what it claims is not known."""


def read_record(path: Path) -> Record:
    """Read a record."""
    try:
        text = path.read_text()
    except PermissionError as error:
        raise UnreadableRecordError(
            f"{path}: this provenance record cannot be read ({error.strerror}): have its owner "
            "make it readable, or choose another output folder"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise (NoInputError if missing else InputError)(
            f"{path}: no provenance record, because it cannot be read: {reason(error)}"
        ) from error
    try:
        content = json.loads(text)
        schema = content.get("schema", SCHEMA)
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: no provenance record, because {reason(error)}") from error
    if not _EDITIONS.fullmatch(str(schema)):
        raise InputError(f"{path}: its schema is {schema}, expected {SCHEMA} or an earlier one")
    problem = mismatch(text)
    if problem:
        raise InputError(f"{path}: no provenance record, because {problem}")
    names = [item.name for item in fields(Dependencies)]
    made_from = {name: content[name] for name in names if name in content}
    made_from["inputs"] = _files(content["inputs"], Path())
    return Record(
        path,
        Dependencies(**made_from),
        content["run"],
        content["steps"],
        _files(content["products"], path.parent),
        content["fingerprint"],
        content.get("caveats", []),
        content.get("statistics", {}),
        content.get("headers", {}),
    )


def dropped_members(data: Any) -> list[Row]:
    """List, as caveats, the members that an association goes without."""
    association = None if is_sequence(data) else association_of(data)
    dropped = association.table.get(DROPPED, ()) if association else ()
    return [
        {"caveat": "dropped member", "input": each["expname"], "reason": each["reason"]}
        for each in dropped
    ]


def degraded_inputs(files: Iterable[FileContent]) -> list[Row]:
    """List, as caveats, those inputs that are degraded, or made from what is."""
    found = []
    for path in (Path(file.path) for file in files):
        record = record_beside(path)
        if record is None:
            continue
        earlier = [each for each in record.caveats if each["caveat"] == DEGRADED_INPUT]
        why = [*record.degraded, *(each["reason"] for each in earlier)]
        row = {"caveat": DEGRADED_INPUT, "input": path.name}
        found += [{**row, "reason": reason} for reason in dict.fromkeys(why)]
    return found


def record_beside(product: Path) -> Record | None:
    """Find the record of a product by its name, without reading those of others; None if none is.

    Products and records are named after what they are made of.
    """
    stem = product.stem.rpartition("_")[0]
    for path in product.parent.glob(f"{escape(stem)}*{SUFFIX}") if stem else ():
        with suppress(InputError):
            record = read_record(path)
            if record.names(product):
                return record
    return None


def find_record(product: Path) -> Record:
    """Find the record of a product, or read it if it is one."""
    if product.name.endswith(SUFFIX):
        return read_record(product)
    unusable = []
    for path in sorted(product.parent.glob(f"*{SUFFIX}")):
        try:
            record = read_record(path)
        except InputError as error:
            unusable.append(f"; {error}")
            continue
        if record.names(product):
            return record
    raise InputError(f"{product}: no provenance record beside it names it{''.join(unusable)}")


def _files(rows: Iterable[Mapping[str, Any]], folder: Path) -> list[FileContent]:
    files = map(FileContent.from_json, rows)
    return [replace(file, path=str(folder / file.path)) for file in files]


def _beside(path: Path, folder: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
