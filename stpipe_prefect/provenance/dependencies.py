"""What a product is made from, and in words what is different another time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .fingerprint import FileContent, fingerprint
from .inserted import changes, only_once
from .volatile import PARAMETERS

Row = dict[str, Any]

ASPECTS = ("inputs", "parameters", "references", "versions")
"""What a plan can ignore."""

_FIRST_EDITION = ("stcal", "stdatamodels", "roman_datamodels")
"""What had a part in the fingerprint besides the mission's own package."""
_NO_CODE: Row = {"version": "", "sha256": "", "steps": []}
_LISTED = 5
"""So many names are written out."""


@dataclass(frozen=True)
class Dependencies:
    """All that decides about the products of a run.

    Attributes
    ----------
    pipeline : str
        Dotted path of the class.
    observatory, context, server : str
        As CRDS names them; `server` fills the cache, empty if there is none.
    request : str
        Fingerprint of the parameters as given; empty if they do not decide alone.
    inputs : list of FileContent
        The exposure; of an association, itself and its members.
    parameters : list of dict
        ``step``, ``parameter``, ``value`` and ``source``; ``files``, if the value names some, as
        `FileContent` describes them; ``planned``, if the pipeline's code
        set another value before the step ran; ``undeclared``, if the step is none of the
        pipeline's own.
    references : list of dict
        ``step``, ``type``, ``file``, ``sha1``, and what tells that the file is untouched:
        ``path``, ``size`` and ``mtime_ns``. Of those that were ``asked`` for in the middle of the
        run, ``matched``, in what the question differed from one about the input, ``named``, if
        it was for this very file, and ``missing``, why it was not available.
    software : dict of str to str
        Versions of all that the mission's package requires, for information; in a record of the
        first edition some of these versions count.
    opaque : list of str
        What has no fingerprint: open data models, functions.
    code : list of dict or None
        What code can change the products: ``name`` (of a distribution, or of a module that is in
        none), ``version``, ``sha256`` (of its source, where the version does not say all) and
        ``steps`` (those it concerns). None in a record of the first edition, where the versions
        in `software` do.
    insertions : list of dict
        Steps inserted into the pipeline: ``step``, ``class`` (dotted path, also of a function), and
        ``after`` or ``before``, the step beside which each ran.
    """

    pipeline: str
    observatory: str
    context: str
    server: str
    request: str
    inputs: list[FileContent]
    parameters: list[Row]
    references: list[Row]
    software: dict[str, str]
    opaque: list[str] = field(default_factory=list)
    code: list[Row] | None = None
    insertions: list[Row] = field(default_factory=list)

    @cached_property
    def fingerprint(self) -> str:
        """The same for runs that make the same; empty where nobody can tell."""
        if self.opaque:
            return ""
        return fingerprint(
            {
                "pipeline": self.pipeline,
                "inputs": _by_name(self.inputs),
                "parameters": {
                    row_name(row): [planned(row), [file.sha256 for file in named_files(row)]]
                    for row in _declared(self.parameters)
                },
                "references": [[row["step"], *_file(row)] for row in _used(self.references)],
                **self._fingerprint_of_code(),
                **({"insertions": self.insertions} if self.insertions else {}),
            }
        )

    def without(self, steps: Collection[str]) -> Dependencies:
        """Leave out the parameters and reference files of some steps."""

        def others(rows: list[Row]) -> list[Row]:
            return [row for row in rows if row["step"].partition(".")[0] not in steps]

        return replace(self, parameters=others(self.parameters), references=others(self.references))

    def _fingerprint_of_code(self) -> dict[str, Any]:
        if self.code is not None:
            return {"code": [[row["name"], row["version"], row["sha256"]] for row in self.code]}
        names = (self.pipeline.partition(".")[0], *_FIRST_EDITION)
        return {"software": {name: self.software[name] for name in names if name in self.software}}


def differences(
    before: Dependencies, now: Dependencies, ignore: Collection[str] = ()
) -> Iterator[str]:
    """Say in words what is different now, as far as it can change the products."""
    if before.pipeline != now.pipeline:
        yield f"pipeline {before.pipeline} → {now.pipeline}"
    yield from changes(before.insertions, now.insertions)
    if alone := only_once(before.insertions, now.insertions):
        before, now = before.without(alone), now.without(alone)
    yield from (f"{name} cannot be compared between runs" for name in now.opaque)
    if "inputs" not in ignore:
        yield from (f"input {change}" for change in _changed_files(before.inputs, now.inputs))
    if "parameters" not in ignore:
        yield from _parameter_differences(before, now)
    if "references" not in ignore:
        yield from _reference_differences(before, now)
    if "versions" not in ignore:
        yield from _code_differences(before, now)


def _code_differences(before: Dependencies, now: Dependencies) -> Iterator[str]:
    """Say which packages and modules are different now, for steps that run both times."""
    later = {row["name"]: row for row in now.code or ()}
    if before.code is not None:
        earlier = {row["name"]: row for row in before.code}
    else:
        later = {name: row for name, row in later.items() if name in before.software}
        earlier = {name: {**row, "version": before.software[name]} for name, row in later.items()}
    run_before, run_now = (
        {step for row in rows.values() for step in row["steps"]} for rows in (earlier, later)
    )
    changed: dict[str, list[str]] = {}
    for name in dict.fromkeys((*later, *earlier)):
        old, new = earlier.get(name, _NO_CODE), later.get(name, _NO_CODE)
        steps = new["steps"] or old["steps"]
        if not run_before & run_now & {*steps}:
            continue
        if old["version"] != new["version"]:
            change = f"{old['version'] or 'none'} → {new['version'] or 'none'}"
            yield f"{name} {change}{_for_steps(steps, now)}"
        elif old["sha256"] != new["sha256"]:
            changed[name] = steps
    if changed:
        steps = [step for steps in changed.values() for step in steps]
        yield f"code of {_listed(changed)} changed{_for_steps(steps, now)}"


def _for_steps(steps: Iterable[str], run: Dependencies) -> str:
    """Name the steps that code concerns, unless these are all that run."""
    names = dict.fromkeys(name for name in steps if name)
    others = {step for row in run.code or () for step in row["steps"] if step} - {*names}
    return f" ({_listed(names)})" if names and others else ""


def _listed(names: Collection[str]) -> str:
    """Write names one after the other; the last of many only as how many they are."""
    shown = [*names][: _LISTED if len(names) > _LISTED + 1 else None]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _by_name(files: Iterable[FileContent]) -> dict[str, str]:
    """Give the content of each file by its name: a folder may be called otherwise another time."""
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for file in files:
        name = Path(file.path).name
        counts[name] += 1
        found[name if counts[name] == 1 else f"{name} (no. {counts[name]})"] = file.sha256
    return found


def _changed_files(before: Iterable[FileContent], now: Iterable[FileContent]) -> Iterator[str]:
    earlier = _by_name(before)
    for name, content in _by_name(now).items():
        if name not in earlier:
            yield f"{name} is new"
        elif earlier.pop(name) != content:
            yield f"{name} changed"
    yield from (f"{name} is gone" for name in earlier)


def _parameter_differences(before: Dependencies, now: Dependencies) -> Iterator[str]:
    earlier = {row_name(row): row for row in _declared(before.parameters)}
    for row in _declared(now.parameters):
        if row["parameter"] in PARAMETERS:
            continue
        old = earlier.get(row_name(row), {"value": None, "source": ""})
        if planned(old) == planned(row):
            for change in _changed_files(named_files(old), named_files(row)):
                yield f"parameter {row_name(row)}: {change}"
        else:
            said_by = [
                short_name(each["source"] or _parameter_file(run, row["step"]))
                for each, run in ((old, before), (row, now))
            ]
            why = _change(*said_by)
            yield f"parameter {row_name(row)} {planned(old)} → {planned(row)}" + (
                f" ({why})" if why else ""
            )


def _reference_differences(before: Dependencies, now: Dependencies) -> Iterator[str]:
    earlier = {_question(row): _file(row) for row in _used(before.references)}
    later = {_question(row): _file(row) for row in _used(now.references)}
    said = {
        f"reference {short_name(row['file'])} was not available"
        for row in before.references
        if "missing" in row
        and row["file"] != "N/A"
        and (now.server or later.get(_question(row), ("", "", ""))[2])
    }
    without_file = set()
    for key in dict.fromkeys((*earlier, *later)):
        old, new = (files.get(key, (key[1], "none", "")) for files in (earlier, later))
        if {old[1], new[1]} == {"N/A", "none"}:
            without_file.add(key[1])
            continue
        # The content of a file that is not in the cache is not known: its name has to do.
        if old[:2] != new[:2] or (old[2] and new[2] and old[2] != new[2]):
            change = _change(short_name(old[1]), short_name(new[1]))
            said.add(
                f"reference {change}"
                if old[1] != new[1]
                else f"reference {new[1]} has different content"
            )
    if without_file and not said:
        types = ", ".join(sorted(without_file))
        said.add(f"references that CRDS has no file for: {types}")
    yield from sorted(said)


def short_name(name: str) -> str:
    """Shorten names of CRDS files within a text: ``"flat 0004"`` for jwst_nircam_flat_0004.fits."""
    return re.sub(r"(?:\S*crds://)?\b[a-z]+_[a-z]+_([a-z0-9-]+_\d+)\.\w+", _spaced, name)


def _spaced(match: re.Match[str]) -> str:
    return match[1].replace("_", " ")


def _change(old: str, new: str) -> str:
    """Write ``"a 1 → 2"`` instead of ``"a 1 → a 2"``."""
    if old == new:
        return new
    kind, _, number = new.rpartition(" ")
    if kind and old.rpartition(" ")[0] == kind:
        return f"{old} → {number}"
    return " → ".join(text for text in (old, new) if text)


def _parameter_file(run: Dependencies, step: str) -> str:
    """Name the file with the parameters of a step, if CRDS gave one."""
    for row in run.references:
        if row["step"] == step and row["type"].startswith("pars-") and row["file"] != "N/A":
            return str(row["file"])
    return ""


def row_name(row: Row) -> str:
    """Name the parameter of a row, with its step."""
    return f"{row['step']}.{row['parameter']}".lstrip(".")


def named_files(row: Row) -> list[FileContent]:
    """List the files that the value of a parameter names."""
    return [FileContent.from_json(file) for file in row.get("files", ())]


def planned(row: Row) -> Any:
    """Give the value a parameter had before the run began."""
    return row.get("planned", row["value"])


def _declared(rows: list[Row]) -> list[Row]:
    """Leave out what nobody can know before the run: parameters of undeclared steps."""
    return [row for row in rows if not row.get("undeclared")]


def _question(row: Row) -> tuple[str, str, str]:
    """Tell apart what a step asked for: a type, for other data than the input's."""
    other = [row.get("matched"), row.get("context")]
    return row["step"], row["type"], json.dumps(other, sort_keys=True)


def _file(row: Row) -> tuple[str, str, str]:
    return row["type"], row["file"], row.get("sha1", "")


def _used(rows: list[Row]) -> list[Row]:
    """Leave out parameter files whose content is among the parameters."""
    return [row for row in rows if row.get("asked") or not row["type"].startswith("pars-")]


def mission_of(step_class: type) -> str:
    """Name the package a class of steps comes from."""
    return step_class.__module__.partition(".")[0]
