"""Where trials are: in a folder of the base, the products that they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.paths import unrecordable

TRIALS = "trials"
"""The folder of trials within that of the base."""

BASE = "base"
"""What the base is called among them."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes
    ----------
    base : pathlib.Path
        Folder of the products that it is compared with.
    name : str

    Raises
    ------
    UsageError
        The name cannot be that of a folder.
    """

    base: Path
    name: str

    def __post_init__(self) -> None:
        name = self.name
        is_plain = name.isprintable() and name == name.strip() and not name.startswith((".", "-"))
        if not name or not is_plain or "/" in name or unrecordable(Path(name)):
            raise UsageError(
                f"trial {name!r}: expected the name of a folder, without / and no dot first"
            )
        if name == BASE:
            raise UsageError(f"trial {name!r}: lists call the products beside trials so: rename it")

    @property
    def folder(self) -> Path:
        """Where its products are."""
        return self.base / TRIALS / self.name

    @property
    def label(self) -> str:
        """What it is called in plans and records."""
        return f"{TRIALS}/{self.name}"

    def others(self) -> dict[str, Path]:
        """Give the folders that may have what it would make, by what to call them."""
        others = {each.label: each.folder for each in trials_of(self.base) if each != self}
        return {BASE: self.base, **others}


def trials_of(base: Path) -> Iterator[Trial]:
    """Go through the trials beside a base, by name."""
    folder = base / TRIALS
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            with suppress(UsageError):  # it is none: no trial can have that name
                yield Trial(base, path.name)


def find_trial(base: Path, name: str) -> Trial:
    """Find a trial by its name.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    from stpipe_prefect.exceptions import nearest

    names = [each.name for each in trials_of(base)]
    if name not in names:
        known = f"; there are {', '.join(names)}" if names else ""
        raise UsageError(f"{base}: there is no trial {name!r}{nearest(name, names)}{known}")
    return Trial(base, name)
