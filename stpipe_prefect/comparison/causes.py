"""Why two products differ, as the records of their making tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import InputError
from ..provenance.dependencies import Dependencies, differences
from ..provenance.fingerprint import FileContent
from ..provenance.record import SUFFIX, Record, read_record


@dataclass(frozen=True)
class Cause:
    """Something that differs in what two products were made from.

    Attributes
    ----------
    pipeline : str
        Which run it concerns: that of the product, or of one of its inputs.
    text : str
        What differs, such as "reference flat 0001 → 0002".
    """

    pipeline: str
    text: str


@dataclass(frozen=True)
class Explanation:
    """What records tell about why two products differ.

    Attributes
    ----------
    causes : list of Cause
        The first run first. Inputs that differ are followed back to what they were made from.
    unknown : list of str
        Why nothing is known of one or the other.
    """

    causes: list[Cause] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Records:
    """The records of folders, each read once; of products and of what these were made from."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Record]] = {}
        self._known: dict[tuple[Path, Path], list[Cause]] = {}

    def of(self, product: Path) -> Record | None:
        """Find the record that names a product, beside it."""
        folder = product.parent.absolute()
        if folder not in self._folders:
            self._folders[folder] = dict(_products_of(folder))
        return self._folders[folder].get(product.name)

    def explain(self, a: Path, b: Path) -> Explanation:
        """Say why two products differ."""
        records = [self.of(path) for path in (a, b)]
        unknown = [
            f"{path}: no provenance record beside it names it"
            for path, record in zip((a, b), records, strict=True)
            if record is None
        ]
        return Explanation(list(dict.fromkeys(self._causes(a, b))), unknown)

    def _causes(self, a: Path, b: Path) -> list[Cause]:
        one, other = self.of(a), self.of(b)
        if one is None or other is None:
            return []
        key = one.path, other.path
        if key not in self._known:
            self._known[key] = []  # also for what is made from itself, by mistake
            self._known[key] = list(self._between(one, other))
        edited = [
            Cause(_pipeline(record), f"{path} was changed after it was made")
            for path, record in ((a, one), (b, other))
            if not all(made.is_intact for made in record.products if _name(made) == path.name)
        ]
        return [*self._known[key], *edited]

    def _between(self, one: Record, other: Record) -> Iterator[Cause]:
        """List what differs in two records, and in those of the inputs that differ."""
        pipeline = _pipeline(other)
        before, now = one.dependencies, other.dependencies
        explained = set()
        for file_a, file_b in _inputs_changed(before, now):
            product_a = self._made(file_a, one.path.parent)
            product_b = self._made(file_b, other.path.parent)
            if product_a and product_b and (earlier := self._causes(product_a, product_b)):
                yield from earlier
                explained.add(f"input {_name(file_a)} changed")
        for text in all_differences(before, now):
            if text not in explained:
                yield Cause(pipeline, text)

    def _made(self, file: FileContent, folder: Path) -> Path | None:
        """Find an input beside the record of its making: where it was, or where a copy may be."""
        for path in (Path(file.path), folder / _name(file)):
            record = self.of(path)
            for made in record.products if record else ():
                if _name(made) == path.name and made.sha256 == file.sha256:
                    return path
        return None


def _products_of(folder: Path) -> Iterator[tuple[str, Record]]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            record = read_record(path)
        except InputError:
            continue  # it explains nothing
        for product in record.products:
            yield _name(product), record


def _inputs_changed(
    before: Dependencies, now: Dependencies
) -> Iterator[tuple[FileContent, FileContent]]:
    later = {_name(file): file for file in now.inputs}
    for file in before.inputs:
        other = later.get(_name(file))
        if other is not None and other.sha256 != file.sha256:
            yield file, other


def all_differences(before: Dependencies, now: Dependencies) -> list[str]:
    """Say all that differs in what two runs were made from.

    Packages that do not count are recorded for this: they may explain what nothing else does.
    """
    said = list(differences(before, now))
    return said + [
        text
        for text in _versions(before.software, now.software)
        if not any(each.startswith(text) for each in said)  # with the steps it concerns
    ]


def _versions(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Compare what both records list: records of earlier releases list less."""
    for name in before:
        if name in now and before[name] != now[name]:
            yield f"{name} {before[name]} → {now[name]}"


def _name(file: FileContent) -> str:
    return Path(file.path).name


def _pipeline(record: Record) -> str:
    return str(record.run.get("pipeline", record.dependencies.pipeline))
