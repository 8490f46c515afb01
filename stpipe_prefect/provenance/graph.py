"""The whole history of a product: how it was made, and what it was made from, to the raw data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import InputError
from .dependencies import Row
from .fingerprint import FileContent
from .record import Record, find_record, record_beside

if TYPE_CHECKING:
    from rich.tree import Tree


@dataclass(frozen=True)
class Made:
    """A file, and how it was made.

    Attributes
    ----------
    file : FileContent
        As the record of what was made from it has it.
    record : Record or None
        Of its making; None for a raw exposure, an association, a catalogue: what no run made.
    inputs : list of Made
    is_changed : bool
        Whether the file is another one now than the record of its making says.
    """

    file: FileContent
    record: Record | None = None
    inputs: list[Made] = field(default_factory=list)
    is_changed: bool = False

    @property
    def name(self) -> str:
        """File name."""
        return Path(self.file.path).name

    @property
    def references(self) -> list[Row]:
        """The reference files that its making used."""
        rows = self.record.dependencies.references if self.record else []
        return [row for row in rows if row["file"] != "N/A" and "missing" not in row]

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON knows: nested, each making with its references and software."""
        about = {"file": self.name, "path": self.file.path, "sha256": self.file.sha256}
        if self.record is None:
            return about
        made_from = self.record.dependencies
        return about | {
            "record": str(self.record.path),
            "run": self.record.run,
            "context": made_from.context,
            "software": made_from.software,
            "changed_since": self.is_changed,
            "references": [
                {key: row[key] for key in ("step", "type", "file", "sha1") if key in row}
                for row in self.references
            ],
            "inputs": [each.as_json() for each in self.inputs],
        }


def history(product: Path) -> Made:
    """Follow a product back, by the records beside it and beside its inputs.

    Parameters
    ----------
    product : pathlib.Path
        Or its record.

    Returns
    -------
    Made

    Raises
    ------
    InputError
        No record names the product.
    """
    record = find_record(product)
    by_name = {Path(made.path).name: made for made in record.products}
    if not by_name:
        raise InputError(f"{record.path}: names no product")
    return _made(by_name.get(product.name, record.products[0]), record)


def tree(made: Made) -> Tree:
    """Draw a history as a tree, for a terminal."""
    from rich.tree import Tree

    drawn = Tree(_label(made))
    _grow(drawn, made)
    return drawn


def _made(file: FileContent, record: Record | None, above: tuple[Path, ...] = ()) -> Made:
    if record is None or record.path.absolute() in above:  # of a run that replaced its own input
        return Made(file)
    above = (*above, record.path.absolute())
    inputs = [
        _made(each, _record_of(each, record.path.parent), above)
        for each in record.dependencies.inputs
    ]
    own = next(each for each in record.products if Path(each.path).name == Path(file.path).name)
    return Made(file, record, inputs, is_changed=own.sha256 != file.sha256)


def _record_of(file: FileContent, folder: Path) -> Record | None:
    """Find the record of an input: where it was, or in the folder of what was made of it."""
    if file.is_open:
        return None
    return record_beside(Path(file.path)) or record_beside(folder / Path(file.path).name)


def _label(made: Made) -> str:
    if made.record is None:
        return made.name
    run, made_from = made.record.run, made.record.dependencies
    package = made_from.pipeline.partition(".")[0]
    software = f"{package} {made_from.software.get(package, '')}".strip()
    by = ", ".join([run.get("pipeline", made_from.pipeline), software, made_from.context])
    changed = "  (changed since)" if made.is_changed else ""
    return f"{made.name}  {by}{changed}"


def _grow(drawn: Tree, made: Made) -> None:
    by_file: dict[str, list[str]] = {}
    for row in made.references:
        by_file.setdefault(row["file"], []).append(f"{row['step']} {row['type']}".strip())
    for file, uses in by_file.items():
        drawn.add(f"{file}  {', '.join(uses)}", style="dim")
    for each in made.inputs:
        _grow(drawn.add(_label(each)), each)
