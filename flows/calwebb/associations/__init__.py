"""From exposures to their associations, by jwst's own rules; see docs/howto-associate.md."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.calibrate.associations import Associated
from stpipe_prefect.exceptions import InputError

from ..products import split_name
from .groups import groups_of
from .pool import OBSERVATION, only, pool_name, pool_of, read_cards, read_pool
from .tables import named, spell, table_of, takes_rates

if TYPE_CHECKING:
    from jwst.associations import AssociationPool


def associate(
    exposures: Sequence[Path], *, pool: Path | None = None, by: Sequence[str] = ()
) -> Associated:
    """Make the associations of exposures.

    Parameters
    ----------
    exposures : sequence of pathlib.Path
    pool : pathlib.Path, optional
        The pool that DMS made of them; by default one is made from their headers.
    by : sequence of str
        Keywords. Stage 3 combines the exposures that have the same values of these, in place of
        what the rules would combine.

    Returns
    -------
    flows.calibrate.associations.Associated

    Raises
    ------
    InputError
        The pool cannot be read or has none of the exposures, targets cannot be told apart, or a
        keyword of `by` is in no header.
    """
    cards, remarks = {}, []
    for path in exposures:
        try:
            cards[path] = read_cards(path)
        except InputError as error:
            if pool is None or by:
                remarks.append(str(error))
    if pool is None:
        rows = pool_of(cards)
        remarks += _of_backgrounds(cards)
    else:
        rows, absent = only(read_pool(pool), exposures)
        if not len(rows):
            raise InputError(f"{pool}: has none of the exposures given")
        remarks += [f"{name}: is not in {pool}, so it is in no association" for name in absent]
    tables = _by_rules(rows, {split_name(pool_name(path))[0]: path for path in exposures})
    if by:
        tables = [*filter(takes_rates, tables), *groups_of(cards, by)]
    needed = {file: path for path, each in cards.items() if (file := _msa_file(each))}
    made, left_out = named(tables)
    return Associated(tuple(made), (*remarks, *left_out), needed, tuple(exposures))


def _of_backgrounds(exposures: Mapping[Path, Mapping[str, Any]]) -> list[str]:
    """Say which observations are backgrounds of others that no header names."""
    found = sorted({str(each[OBSERVATION]) for each in exposures.values() if each.get("BKGDTARG")})
    if not found:
        return []
    return [
        f"background observation {', '.join(found)}: no header says of which others, so stage 2 "
        "does not subtract it; the pool of DMS does, give it with --pool"
    ]


def _msa_file(cards: Mapping[str, Any]) -> str | None:
    """Name the file of open shutters that assign_wcs looks for beside its input."""
    name = str(cards.get("MSAMETFL") or "").strip()
    spectral = str(cards["EXP_TYPE"]).upper() == "NRS_MSASPEC"
    return name if spectral and name.endswith(".fits") else None


def _by_rules(pool: AssociationPool, exposures: Mapping[str, Path]) -> list[dict[str, Any]]:
    if not len(pool):
        return []
    from .rules import associations_of

    with _silence():
        tables = [table_of(association) for association in associations_of(pool)]
    for table in tables:
        spell(table, exposures)
    return tables


@contextmanager
def _silence() -> Iterator[None]:
    """Keep jwst from printing whole associations where two would make the same product."""
    logger = logging.getLogger("jwst.associations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
