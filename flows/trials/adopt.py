"""Making a trial the base: run by run, each whole at every moment; begun again, it goes on."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stpipe_prefect.exceptions import InputError, OutputError
from stpipe_prefect.products.sharing import FOLDER as NOTES
from stpipe_prefect.products.sharing import Way, note, share
from stpipe_prefect.products.unfinished import going_on, remove_leftovers
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.ownership import changed_product, claims_of_others
from stpipe_prefect.provenance.record import Record, files_beside, read_record
from stpipe_prefect.provenance.sharing import share_run

from .folders import Trial
from .records import in_order, records_in


def adopt(trial: Trial) -> Iterator[Record]:
    """Give the base the products of a trial, and remove the trial.

    What only the base has stays there.

    Parameters
    ----------
    trial : Trial

    Yields
    ------
    Record
        Those that the base now has, as they come.

    Raises
    ------
    OutputError
        Nothing was changed: a run goes on in the trial, it has no products, one of them is
        damaged, or a product of the base was changed by somebody, or is another run's.
    """
    _check_is_quiet(trial)
    made = in_order(records_in(trial.folder))
    if not made and (others := _files(trial)):  # without any, an adoption was killed as it ended
        raise OutputError(
            f"{trial.label} is not adopted: it has no products, but {others[0].name}: remove it "
            "instead"
        )
    records = [each for each in made if not _is_there(each, trial)]
    for record in records:
        _check(record, trial)
    for record in records:
        yield _adopted(record, trial)
    remove(trial)


def remove(trial: Trial) -> list[Path]:
    """Remove the products of a trial, their logs and records; gives the files that are none.

    Raises
    ------
    OutputError
        A run goes on in it.
    """
    _check_is_quiet(trial)
    remove_leftovers(trial.folder)
    for record in reversed(in_order(records_in(trial.folder))):
        inputs = [Path(file.path) for file in record.dependencies.inputs]
        own = [path for path in inputs if _is_in(trial, path)]
        for path in (*_products(record), *own, *files_beside(record.path), record.path):
            path.unlink(missing_ok=True)
    for notes in list(trial.folder.rglob(NOTES)):
        shutil.rmtree(notes)
    folders = sorted((path for path in trial.folder.rglob("*") if path.is_dir()), reverse=True)
    for folder in (*folders, trial.folder, trial.folder.parent):
        with suppress(OSError):  # there is something in it
            folder.rmdir()
    return _files(trial)


def _files(trial: Trial) -> list[Path]:
    """List the files in a trial that no run made, or that are of runs without a record."""
    files = (path for path in trial.folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path.parent.name != NOTES)


def _check_is_quiet(trial: Trial) -> None:
    if names := going_on(trial.folder):
        raise OutputError(f"{trial.label}: a run goes on in it ({names[0]}): wait until it is done")


def _is_there(record: Record, trial: Trial) -> bool:
    """Tell whether the base has the products of a run already."""
    try:
        there = read_record(trial.base / record.path.name)
    except InputError:
        return False
    mine, its = ([file.sha256 for file in each.products] for each in (record, there))
    return mine == its and not there.problems()


def _check(record: Record, trial: Trial) -> None:
    """Refuse to adopt damaged products, and to replace what nobody could make again."""
    if problems := record.problems():
        raise OutputError(f"{record.path}: {'; '.join(problems)}: calibrate the trial once more")
    own = trial.base / record.path.name
    places = [_place(Path(product.path), trial) for product in record.products]
    why = ""
    with suppress(InputError):
        why = changed_product(read_record(own))
    for other, product in claims_of_others(places, own):
        why = why or f"{product.path} is a product of another run ({other.path.name})"
    if why:
        raise OutputError(f"{trial.label} is not adopted: {why}: move that file away")


def _adopted(record: Record, trial: Trial) -> Record:
    inputs = [_brought(file, trial) for file in record.dependencies.inputs]
    return share_run(record, trial.base, replace(record.dependencies, inputs=inputs))


def _brought(file: FileContent, trial: Trial) -> FileContent:
    """Describe an input as the base has it; what no run made, such as an association, goes along.

    Products of the trial are there already.
    """
    path = Path(file.path)
    if not _is_in(trial, path):
        return file
    place = _place(path, trial)
    if not (place.is_file() and FileContent.of(place).sha256 == file.sha256):
        temporary = place.with_name(f".{secrets.token_hex(8)}.part")
        way = share(path, temporary, file.sha256)
        temporary.replace(place)
        if way is Way.LINK:
            note(place, file.sha256)
    return FileContent.of(place)


def _products(record: Record) -> list[Path]:
    return [Path(product.path) for product in record.products]


def _is_in(trial: Trial, path: Path) -> bool:
    return path.absolute().is_relative_to(trial.folder.absolute())


def _place(path: Path, trial: Trial) -> Path:
    return trial.base / path.absolute().relative_to(trial.folder.absolute())
