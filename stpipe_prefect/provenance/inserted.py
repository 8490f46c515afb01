"""Inserted steps in the record: which there were, what is different now, what products say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import UsageError
from ..insertions.derived import inserted_in
from ..insertions.functions import made_from
from ..insertions.insertion import AFTER, BEFORE, Insertion
from ..parameters.resolution import PIPELINE_CODE, STEP_CODE
from .packages import find_package

if TYPE_CHECKING:
    from .dependencies import Dependencies, Row

NOT_RUN = "did not run"
_SHOWN_OF_HASH = 12


def rows_of(pipeline: Any) -> list[Row]:
    """Describe the steps inserted into a pipeline, as its record does."""
    rows = []
    for each in inserted_in(pipeline):
        member = made_from(each.step_class)
        path = f"{member.__module__}.{member.__qualname__}"
        rows.append({"step": each.name, "class": path, each.insertion.where: each.insertion.anchor})
    return rows


def insertion_of(row: Mapping[str, str]) -> Insertion:
    """Make what can be inserted again of a row of a record."""
    where, anchor = _place(row)
    return Insertion(anchor, where, row.get("class", ""), row.get("step", ""))


def place(row: Mapping[str, str]) -> str:
    """Say where a step was inserted, such as ``"after jump"``."""
    return " ".join(_place(row))


def changes(before: Sequence[Row], now: Sequence[Row]) -> Iterator[str]:
    """Say which steps were added, removed, moved or are others."""
    earlier, later = ({row["step"]: row for row in rows} for rows in (before, now))
    for name, row in later.items():
        if name not in earlier:
            yield f"step {name} was added {place(row)}"
            continue
        old = earlier[name]
        if place(old) != place(row):
            yield f"step {name} moved: {place(old)} → {place(row)}"
        if old["class"] != row["class"]:
            yield f"step {name} is another: {old['class']} → {row['class']}"
    yield from (f"step {name} was removed" for name in earlier if name not in later)
    orders = [
        [name for name in rows if name in earlier.keys() & later.keys()]
        for rows in (earlier, later)
    ]
    if orders[0] != orders[1]:
        yield f"inserted steps in another order: {', '.join(orders[0])} → {', '.join(orders[1])}"


def only_once(before: Sequence[Row], now: Sequence[Row]) -> set[str]:
    """Name the inserted steps that only one of two runs has."""
    earlier, later = ({row["step"] for row in rows} for rows in (before, now))
    return earlier ^ later


def not_run(rows: Iterable[Row], steps: Iterable[Row]) -> list[Row]:
    """List, as caveats, the inserted steps that are not among those that ran."""
    ran = {row["step"] for row in steps}
    return [
        {
            "caveat": NOT_RUN,
            "step": row["step"],
            "reason": f"inserted {place(row)}, which "
            + ("had no data" if _place(row)[1] in ran else "was not reached"),
        }
        for row in rows
        if row["step"] not in ran
    ]


def notes(made_from: Dependencies) -> dict[str, str]:
    """Say of each inserted step, for products: its class, its code, where it ran, and how."""
    return {row["step"]: _note(row, made_from) for row in made_from.insertions}


def _note(row: Row, run: Dependencies) -> str:
    given = [
        f"{each['parameter']}={each['value']!r}"
        for each in run.parameters
        if each["step"] == row["step"] and each["source"] not in (STEP_CODE, PIPELINE_CODE)
    ]
    parts = [f"step {row['step']}: {row['class']}, inserted {place(row)}", _code(row, run), *given]
    text = "; ".join(filter(None, parts))
    return text.encode("ascii", "backslashreplace").decode()  # as FITS has it


def _code(row: Row, run: Dependencies) -> str:
    """Name the version of the code of a step, or the beginning of its checksum."""
    path = row["class"]
    package = find_package(path.partition(".")[0], counts=True)
    distribution = package.distribution if package else ""
    said = []
    for each in run.code or ():
        if row["step"] not in each["steps"]:
            continue
        if each["name"] == distribution and each["version"]:
            said.append(f"{each['name']} {each['version']}")
        if each["sha256"] and f"{path}.".startswith(f"{each['name']}."):
            said.append(f"code {each['sha256'][:_SHOWN_OF_HASH]}")
    return ", ".join(said)


def _place(row: Mapping[str, str]) -> tuple[str, str]:
    for where in (AFTER, BEFORE):
        if where in row:
            return where, row[where]
    raise UsageError(f"the record does not say where step {row.get('step', '?')} was inserted")
