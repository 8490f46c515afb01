"""Finding the files a user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError, NoInputError, UsageError
from stpipe_prefect.paths import printable, unrecordable
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.remote.stand_ins import bring_header
from stpipe_prefect.remote.urls import is_url

from .remote import bring_named

if TYPE_CHECKING:
    from .mission import Mission

CAMPAIGN_FILE = ".toml"
"""Ending of its name."""


def find_inputs(names: Iterable[str], mission: Mission) -> Iterator[Path]:
    """Find the files that a user names, each by itself, by a pattern, or by its folder.

    Of a folder the raw exposures are taken (where it has none, what the mission takes instead),
    and the associations of these and of what is made of them.

    Raises
    ------
    InputError
        A pattern or folder that there is nothing for.
    """
    for name in names:
        path = bring_named(name, mission.exposures) if is_url(name) else folder_path(name)
        if path.is_dir():
            found = _in_folder(path, mission)
        elif has_magic(name) and not path.exists():
            pattern = str(path)
            found = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207
        else:
            found = [path]
        if not found:
            raise InputError(f"{name}: contains no exposures or associations")
        yield from found


def campaign_file_among(names: Sequence[str]) -> Path | None:
    """Find the campaign file among what a user names as inputs.

    Raises
    ------
    UsageError
        There is more beside it.
    """
    found = [name for name in names if Path(name).suffix.lower() == CAMPAIGN_FILE]
    if found and names[1:]:
        other = next(name for name in names if name != found[0] or names.count(name) > 1)
        raise UsageError(f"{found[0]}: a campaign file names its inputs itself: leave {other} out")
    return Path(found[0]) if found else None


def _in_folder(folder: Path, mission: Mission) -> list[Path]:
    exposures = next(filter(None, (sorted(folder.glob(each)) for each in mission.exposures)), [])
    associations = []
    for path in filter(is_association, sorted(folder.glob("*_asn.*"))):
        with suppress(InputError):  # a folder may hold whatever it likes
            if mission.takes(path) and mission.combines(read_association(path), exposures):
                associations.append(path)
    return [*exposures, *associations]


def check_is_file(path: Path) -> None:
    """Refuse what is no file, or has a path that neither a record nor Prefect can hold.

    Raises
    ------
    InputError
        There is no such file, or its path is not UTF-8.
    """
    bring_header(path)
    if problem := unrecordable(path):
        raise InputError(f"{printable(path)}: {problem}: rename it")
    if path.is_dir():
        raise InputError(f"{path}: is a folder")
    if not path.is_file():
        raise NoInputError(f"{path}: no such file")
