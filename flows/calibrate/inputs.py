"""Finding the files a user names, and reading associations, before any pipeline does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.exceptions import InputError, NoInputError, reason
from stpipe_prefect.paths import printable, unrecordable
from stpipe_prefect.products.names import folder_path

if TYPE_CHECKING:
    from .mission import Mission


@dataclass(frozen=True)
class Association:
    """An association file: which exposures are combined, and into what.

    Attributes
    ----------
    path : pathlib.Path
    kind : str
        ``asn_type``, such as ``"image3"``; empty if the file does not say.
    members : tuple of str
        File names of the exposures of all its products.
    """

    path: Path
    kind: str
    members: tuple[str, ...]


def find_inputs(names: Iterable[str], mission: Mission) -> Iterator[Path]:
    """Find the files that a user names, each by itself, by a pattern, or by its folder.

    Of a folder the raw exposures are taken (where it has none, what the mission takes instead),
    and the associations that combine them.

    Raises
    ------
    InputError
        A pattern or folder that there is nothing for.
    """
    for name in names:
        path = folder_path(name)
        if path.is_dir():
            found = _in_folder(path, mission)
        elif has_magic(name) and not path.exists():
            pattern = str(path)
            found = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207
        else:
            found = [path]
        if not found:
            raise InputError(f"{name}: no exposures or associations there")
        yield from found


def _in_folder(folder: Path, mission: Mission) -> list[Path]:
    exposures = next(filter(None, (sorted(folder.glob(each)) for each in mission.exposures)), [])
    associations = []
    for path in sorted(folder.glob("*_asn.json")):
        with suppress(InputError):  # a folder may hold whatever it likes
            if mission.combines(read_association(path)):
                associations.append(path)
    return [*exposures, *associations]


def check_is_file(path: Path) -> None:
    """Refuse what is no file, or has a path that neither a record nor Prefect can hold.

    Raises
    ------
    InputError
        There is no such file, or its path is not UTF-8.
    """
    if problem := unrecordable(path):
        raise InputError(f"{printable(path)}: {problem}: rename it")
    if path.is_dir():
        raise InputError(f"{path}: is a folder")
    if not path.is_file():
        raise NoInputError(f"{path}: no such file")


def read_association(path: Path) -> Association:
    """Read which exposures an association file combines.

    Raises
    ------
    InputError
        It is missing, or no association.
    """
    check_is_file(path)
    try:
        table = json.loads(path.read_text())
        members = tuple(
            str(Path(member["expname"]))
            for product in table["products"]
            for member in product["members"]
        )
        "".join(members).encode()  # JSON can spell names that no file has
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not an association: expected JSON with products and their members "
            f"({type(error).__name__}: {reason(error)})"
        ) from error
    if not members:
        raise InputError(f"{path}: an association without members: nothing to combine")
    return Association(path, str(table.get("asn_type") or "").lower(), members)
