"""Mosaics of Roman exposures that have something in common."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.calibrate.associations import Associated
from stpipe_prefect.association import Association
from stpipe_prefect.exceptions import InputError, UsageError

from .header import named, read_exposure
from .pipelines import RAW


def associate(
    exposures: Sequence[Path], *, pool: Path | None = None, by: Sequence[str] = ()
) -> Associated:
    """Make an association of the exposures of each program that have the same metadata.

    Parameters
    ----------
    exposures : sequence of pathlib.Path
        Those that are not raw, or cannot be read, are in no association.
    pool : None
        The archive has none.
    by : sequence of str
        Names in ``roman.meta``, such as ``filter``, ``visit`` or ``instrument.detector``.

    Returns
    -------
    flows.calibrate.associations.Associated

    Raises
    ------
    UsageError
        There is a pool, or nothing to go by: the rules of the observatory place calibrated
        exposures on sky cells.
    InputError
        An exposure has no such metadata, or several of that name.
    """
    if pool is not None:
        raise UsageError(f"--pool {pool}: Roman's archive makes no pools")
    if not by:
        raise UsageError(
            "--associate needs by=filter or the like for Roman: romancal's skycell_asn places "
            "calibrated exposures on sky cells, so run it on what this command has made"
        )
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    remarks = []
    for path in sorted(exposures, key=lambda path: path.name):
        if not path.name.endswith(RAW):
            continue
        try:
            meta = read_exposure(path)
        except InputError as error:
            remarks.append(str(error))
            continue
        names = ("observation.program", *by)
        key = tuple(_value(path, meta, name) for name in names)
        groups[key].append(path.name.replace(RAW, "_cal.asdf"))
    made = tuple(_association(key, members, by) for key, members in groups.items())
    return Associated(made, tuple(remarks), exposures=tuple(exposures))


def _association(key: tuple[str, ...], members: list[str], by: Sequence[str]) -> Association:
    from romancal.associations.asn_from_list import asn_from_list

    program, *values = key
    words = (re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") for value in values)
    name = "_".join((f"r{program:0>5}", *words))
    # Of a target that is not "none" romancal takes the name for that of a sky cell.
    table = json.loads(asn_from_list(members, product_name=name, target="none").dump()[1])
    common = {
        "program": f"{program:0>5}",
        "asn_type": "image",
        "asn_rule": f"by={','.join(by)}",
        "constraints": ", ".join(f"{name}={text}" for name, text in zip(by, values, strict=True)),
    }
    return Association(table | common, Path(f"{name}_asn.json"))


def _value(path: Path, meta: Mapping[str, Any], name: str) -> str:
    """Find what is at a path, or at the one path that ends so."""
    found = named(meta, name)
    if len(found) != 1:
        several = f": choose from {', '.join(found)}" if found else ""
        raise InputError(
            f"{path}: --associate by={name}: {'several' if found else 'nothing'} of that name in "
            f"its metadata{several}"
        )
    return next(iter(found.values()))
