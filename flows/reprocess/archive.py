"""What an archive holds: raw exposures and what is combined of them, products beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from stpipe_prefect.exceptions import InputError

PREVIOUS = "previous"
"""Folder of products that others have taken the place of."""
EXPOSURES = "*_uncal.fits"
RATES = "*_rate.fits"
"""Of exposures whose raw file is not there."""
ASSOCIATIONS = "*3_*_asn.json"
"""Of stage 3. What those of stage 2 list, exposures call for by themselves."""


def folders_of(archives: Iterable[Path]) -> Iterator[list[Path]]:
    """Go through archives in order of programme.

    Parameters
    ----------
    archives : iterable of pathlib.Path
        Folder trees, or text files with the name of an exposure or association in each line,
        relative to the list.

    Yields
    ------
    list of pathlib.Path
        What is in one folder of one programme: exposures, then associations.

    Raises
    ------
    InputError
        There is no such archive, or the list cannot be read.
    """
    inputs = {path for archive in archives for path in _inputs(archive.expanduser().absolute())}
    for _, group in groupby(sorted(inputs, key=_order), key=lambda path: _order(path)[:2]):
        yield list(group)


def _order(path: Path) -> tuple[str, str, bool, str]:
    programme = path.name[: len("jw01234")]
    return programme, str(path.parent), path.suffix == ".json", path.name


def _inputs(archive: Path) -> Iterator[Path]:
    return _in_tree(archive) if archive.is_dir() else _in_list(archive)


def _in_tree(folder: Path) -> Iterator[Path]:
    for pattern in (EXPOSURES, RATES, ASSOCIATIONS):
        for path in folder.rglob(pattern):
            parts = path.relative_to(folder).parts
            hidden = any(part.startswith(".") for part in parts)  # such as unfinished products
            if (
                not hidden
                and PREVIOUS not in parts
                and not (pattern == RATES and _raw(path).exists())
            ):
                yield path


def _in_list(file: Path) -> Iterator[Path]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such folder or list of exposures") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: expected a folder, or a text file with an exposure in each line"
        ) from error
    return (file.parent / line.strip() for line in lines if line.strip())


def _raw(rate: Path) -> Path:
    return rate.with_name(rate.name.replace("_rate.", "_uncal."))
