"""What an archive holds: raw exposures and what is combined of them, products beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from flows.calibrate.inputs import CAMPAIGN_FILE, find_inputs
from flows.calibrate.mission import Mission
from flows.calibrate.remote import bring_archive, bring_headers, bring_listed
from flows.calwebb.mission import JWST
from flows.romancal.mission import ROMAN
from flows.trials.folders import TRIALS
from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.remote.urls import is_url, local_path, url_of

from .recorded import know_suffixes

MISSIONS = (JWST, ROMAN)

PREVIOUS = "previous"
"""Folder of products that others have taken the place of."""

_ASIDE = (PREVIOUS, TRIALS)


def folders_of(archives: Iterable[str | Path]) -> Iterator[tuple[Mission, list[Path]]]:
    """Go through archives, in order of mission and program: what is in each of its folders.

    An association belongs to the last program of its members, whatever its own name: it comes
    after all that these are made from.

    Archives are folder trees, of each folder of which `flows.calibrate.inputs.find_inputs` finds
    the inputs, or text files with an exposure or association in each line, relative to the list.
    Those that are URLs, and what is a URL in a list, are brought: records and headers, no pixels.

    Raises
    ------
    InputError
        There is no such archive, or the list cannot be read.
    """
    inputs = {path for archive in archives for path in _inputs(archive)}
    orders = {path: _order(path) for path in inputs}
    for (number, *_), group in groupby(
        sorted(inputs, key=orders.__getitem__), key=lambda path: orders[path][:3]
    ):
        yield MISSIONS[number], list(group)


def _order(path: Path) -> tuple[int, str, str, bool, str]:
    names: tuple[str, ...] = ()
    if is_association(path):
        with suppress(InputError):  # it cannot be read: whoever is to process it says so
            names = read_association(path).members
    program = max(map(_program, names), default="") or _program(path.name)
    return _mission(path), program, str(path.parent), is_association(path), path.name


def _mission(path: Path) -> int:
    """Tell whose it is; of what is in no mission's format, one that is here says what is wrong."""
    with suppress(InputError):
        for number, mission in enumerate(MISSIONS):
            if mission.takes(path):
                return number
    return next((n for n, mission in enumerate(MISSIONS) if find_spec(mission.package)), 0)


def _program(name: str) -> str:
    """Give the program in the name of a file, with what tells the mission: jw01234, r00001."""
    found = re.match(r"[a-z]+[0-9]{5}", Path(name).name)
    return found[0] if found else ""


def _inputs(archive: str | Path) -> list[Path]:
    if Path(archive).suffix.lower() == CAMPAIGN_FILE:
        raise InputError(
            f"{archive}: is a campaign file: run it again with the command of its mission, such as "
            "python -m flows.calwebb, which also runs only what is stale"
        )
    if is_url(archive):
        path = bring_archive(str(archive), _ASIDE)
    else:
        path = folder_path(archive).absolute()
    if not path.is_dir():
        return _in_list(path)
    found = [*_in_tree(path)]
    bring_headers(found)
    return found


def _in_tree(top: Path) -> Iterator[Path]:
    for name, folders, _ in os.walk(top):
        # Hidden ones are of unfinished products.
        folders[:] = [each for each in folders if each not in _ASIDE and not each.startswith(".")]
        for mission in MISSIONS:
            know_suffixes([Path(name)], mission)
            with suppress(InputError):  # there is nothing in it
                yield from find_inputs([name], mission)


def _in_list(file: Path) -> list[Path]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such folder or list of exposures") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: expected a folder, or a text file with an exposure in each line"
        ) from error
    paths = [_named(line.strip(), file) for line in lines if line.strip()]
    _check_deployable(paths)
    bring_listed(paths)
    for mission in MISSIONS:
        know_suffixes({path.parent for path in paths}, mission)
    return paths


def _named(name: str, file: Path) -> Path:
    """Give the path of what a list names, of a URL that which stands for it."""
    if is_url(name):
        return local_path(name)
    # Objects have no detours; what leads out of the store is no stand-in, but a file of its own.
    return Path(os.path.normpath(file.parent / name)) if url_of(file) else file.parent / name


def _check_deployable(paths: Iterable[Path]) -> None:
    """Refuse what a run of a deployment may not read, before it is fetched."""
    from stpipe_prefect.orchestration.deployments import check_deployable  # which imports pydantic

    check_deployable("reprocess", map(str, paths), {})
