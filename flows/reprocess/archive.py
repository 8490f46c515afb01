"""What an archive holds: raw exposures and what is combined of them, products beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from flows.calibrate.inputs import find_inputs
from flows.calwebb.mission import JWST
from stpipe_prefect.association import is_association
from stpipe_prefect.exceptions import InputError

PREVIOUS = "previous"
"""Folder of products that others have taken the place of."""


def folders_of(archives: Iterable[Path]) -> Iterator[list[Path]]:
    """Go through archives in order of program: what is in each of its folders.

    Archives are folder trees, of each folder of which `flows.calibrate.inputs.find_inputs` finds
    the inputs, or text files with an exposure or association in each line, relative to the list.

    Raises
    ------
    InputError
        There is no such archive, or the list cannot be read.
    """
    inputs = {path for archive in archives for path in _inputs(archive.absolute())}
    for _, group in groupby(sorted(inputs, key=_order), key=lambda path: _order(path)[:2]):
        yield list(group)


def _order(path: Path) -> tuple[str, str, bool, str]:
    program = path.name[: len("jw01234")]
    return program, str(path.parent), is_association(path), path.name


def _inputs(archive: Path) -> Iterator[Path]:
    return _in_tree(archive) if archive.is_dir() else _in_list(archive)


def _in_tree(top: Path) -> Iterator[Path]:
    for name, folders, _ in os.walk(top):
        # Hidden ones are of unfinished products.
        folders[:] = [each for each in folders if each != PREVIOUS and not each.startswith(".")]
        with suppress(InputError):  # there is nothing in it
            yield from find_inputs([name], JWST)


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
