"""The pool of exposures that jwst's rules work on: made from headers, or read from DMS's file.

``jwst.associations.mkpool`` makes one, too, but overwrites ``IS_IMPRT``, spells T as True where
the rules look for "t", has no ``obs_num``, and numbers targets in the order of the files, so that
one more exposure can rename every product. docs/howto-associate.md says where each column comes
from.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.exceptions import InputError, input_error, reason

from ..products import split_name

if TYPE_CHECKING:
    from jwst.associations import AssociationPool

NULL = "null"

NO_TARGET = (NULL, "unknown")
"""What a keyword of the target holds where there is none."""

FROM_HEADER = (
    "act_id", "band", "bkgdtarg", "channel", "detector", "exp_type", "exposure", "filter",
    "fxd_slit", "grating", "instrume", "is_imprt", "is_psf", "lamp", "msametfl", "msastate",
    "nints", "numdthpt", "obs_id", "opmode", "patt_num", "patttype", "program", "pupil",
    "seq_id", "subarray", "subpxpts", "targname", "targprop", "tsovisit", "visit", "visit_id",
    "visitgrp", "visitype",
)  # fmt: skip
"""Columns that are keywords of the same name: all that the rules of jwst 3 look at, and more
from which others are derived."""

OBSERVATION = "OBSERVTN"
RAW = "_uncal.fits"


def read_cards(path: Path) -> Mapping[str, Any]:
    """Read the primary header of an exposure; not more of the file.

    Raises
    ------
    InputError
        It is none of JWST, or does not say of which observation it is, or through which filter.
    """
    from astropy.io import fits

    try:
        with path.open("rb") as file:
            header = fits.Header.fromfile(file)
    except Exception as error:  # whatever astropy makes of a damaged header
        raise input_error(f"{path}: not a readable FITS file: {reason(error)}", error) from error
    needed: tuple[str, ...] = ("PROGRAM", OBSERVATION, "EXP_TYPE", "INSTRUME")
    if str(header.get("INSTRUME")).upper() in ("NIRCAM", "NIRISS"):
        needed += ("FILTER",)  # without it, the rules put an exposure into the mosaics of all
    for keyword in needed:
        if header.get(keyword) in (None, ""):
            raise InputError(
                f"{path}: no {keyword} in its primary header, so it cannot be associated; "
                "correct the header, or give the pool of DMS with --pool"
            )
    cards: Mapping[str, Any] = header
    return cards


def pool_of(exposures: Mapping[Path, Mapping[str, Any]]) -> AssociationPool:
    """Make the pool of exposures, given their headers; it does not depend on their order.

    Raises
    ------
    InputError
        Two targets could not be told apart in the names of products.
    """
    rows = [_row(path, cards) for path, cards in exposures.items()]
    rows.sort(key=lambda row: row["filename"])
    _set_targets(rows)
    _set_specifications(rows)
    return _table(rows, "headers")


def read_pool(file: Path) -> AssociationPool:
    """Read a pool as DMS writes it: a table, columns separated by ``|``.

    Raises
    ------
    InputError
        It cannot be read, or lacks columns that the rules need.
    """
    from astropy.io.ascii import InconsistentTableError
    from jwst.associations import AssociationPool

    try:
        pool = AssociationPool.read(str(file))
    except InconsistentTableError as error:  # it lists every format that astropy tried
        raise InputError(
            f"{file}: not an association pool: expected a table, columns separated by |"
        ) from error
    except Exception as error:  # whatever else astropy makes of it
        raise input_error(f"{file}: not an association pool: {reason(error)}", error) from error
    if lacking := [name for name in ("filename", "asn_candidate") if name not in pool.colnames]:
        raise InputError(f"{file}: not an association pool: no column {', '.join(lacking)}")
    return pool


def only(pool: AssociationPool, exposures: Iterable[Path]) -> tuple[AssociationPool, list[str]]:
    """Take the rows of the given exposures; gives the names of those that have none, too."""
    names = {pool_name(path): path for path in exposures}
    rows = [str(name) in names for name in pool["filename"]]
    absent = names.keys() - set(map(str, pool["filename"]))
    return pool[rows], sorted(names[name].name for name in absent)


def pool_name(path: Path) -> str:
    """Name an exposure as pools do: after its raw file, in lower case."""
    return f"{split_name(path.name)[0]}{RAW}".lower()


def _row(path: Path, cards: Mapping[str, Any]) -> dict[str, str]:
    row = {column: header_text(cards.get(column.upper())) for column in FROM_HEADER}
    number = f"{header_text(cards[OBSERVATION]):0>3}"
    acquisition = _exposure_types().get(row["exp_type"]) == "target_acquisition"
    return {
        **row,
        "filename": pool_name(path),
        "obs_num": number,
        "asn_candidate": f"[('o{number}', 'observation')]",
        "pntgtype": "target_acquisition" if acquisition else "science",
        "dithptin": row["patt_num"] if row["patt_num"] not in (NULL, "0") else row["exposure"],
        "mostilno": "1",
        "dms_note": NULL,
        "exposerr": NULL,
    }


def header_text(value: Any) -> str:
    """Spell a value of a header as pools do: lower case, t and f."""
    if isinstance(value, bool):
        return "t" if value else "f"
    text = "" if value is None else str(value).strip().lower()
    return text or NULL


def _exposure_types() -> Mapping[str, str]:
    from jwst.associations.lib.dms_base import EXPTYPE_MAP

    kinds: Mapping[str, str] = EXPTYPE_MAP
    return kinds


def _set_targets(rows: Iterable[dict[str, str]]) -> None:
    """Name targets after what the proposer or the catalogue calls them, in letters and digits."""
    called: dict[tuple[str, str], str] = {}
    for row in rows:
        names = (row["targprop"], row["targname"], f"obs{row['obs_num']}")
        name = next(name for name in names if name not in NO_TARGET)
        row["targetid"] = short = re.sub(r"[^a-z0-9]", "", name) or names[-1]
        if (other := called.setdefault((row["program"], short), name)) != name:
            raise InputError(
                f"{row['filename']}: its target {name} and {other} of other exposures would "
                f"both be t{short} in names of products; give the pool of DMS with --pool"
            )


def _set_specifications(rows: Sequence[dict[str, str]]) -> None:
    """Count the activities of each observation in the order in which the telescope did them."""
    activities: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for row in rows:
        activities[_observation(row)].add(_activity(row))
    ordered = {observation: sorted(done) for observation, done in activities.items()}
    for row in rows:
        row["expspcin"] = str(ordered[_observation(row)].index(_activity(row)) + 1)


def _observation(row: Mapping[str, str]) -> tuple[str, str]:
    return row["program"], row["obs_num"]


def _activity(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{row[name]:0>5}" for name in ("visit", "visitgrp", "seq_id", "act_id"))


def _table(rows: Sequence[Mapping[str, str]], made_from: str) -> AssociationPool:
    from jwst.associations import AssociationPool

    names = sorted(set().union(*rows))
    pool = AssociationPool(
        [[row[name] for row in rows] for name in names], names=names, dtype=[object] * len(names)
    )
    pool.meta["pool_file"] = made_from
    return pool
