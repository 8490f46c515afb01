"""Simple groups: exposures whose headers have the same values of some keywords."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpipe_prefect.exceptions import InputError, nearest

from ..exposure_types import pipelines_for, stage_2_suffix
from ..header import TARGET
from ..products import split_name


def groups_of(
    exposures: Mapping[Path, Mapping[str, Any]], by: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Make an association for stage 3 of the exposures of each group.

    Exposures of different programs or EXP_TYPE are never in one group.

    Raises
    ------
    InputError
        An exposure lacks a keyword.
    """
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for path in sorted(exposures, key=lambda path: path.name):
        cards = exposures[path]
        exp_type = str(cards["EXP_TYPE"])
        stages = pipelines_for(exp_type, time_series=bool(cards.get("TSOVISIT")))
        if stages is None or stages.third is None:
            continue
        kinds[exp_type] = stages.third.removeprefix("calwebb_")
        ending = "calints" if stage_2_suffix(stages) == "rateints" else "cal"
        key = (str(cards["PROGRAM"]), exp_type, *(_value(path, cards, name) for name in by))
        groups[key].append(f"{split_name(path.name)[0]}_{ending}.fits")
    for (program, *values), members in groups.items():
        yield _association(program, dict(zip(("exp_type", *by), values, strict=True)), members) | {
            "asn_type": kinds[values[0]],
            "asn_rule": f"by={','.join(by)}",
        }


def _association(program: str, common: Mapping[str, str], members: list[str]) -> dict[str, Any]:
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level3_base import DMS_Level3_Base

    from .tables import table_of

    words = (re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") for value in common.values())
    name = "_".join((f"jw{program:0>5}", *words))
    given = ", ".join(f"{keyword}={value}" for keyword, value in common.items())
    made = asn_from_list(members, rule=DMS_Level3_Base, product_name=name)
    return table_of(made) | {"program": f"{program:0>5}", "constraints": given}


def _value(path: Path, cards: Mapping[str, Any], name: str) -> str:
    for keyword in TARGET.get(name.lower(), (name.upper(),)):
        if (value := cards.get(keyword)) not in (None, ""):
            return str(value)
    raise InputError(
        f"{path}: --associate by={name}: no such keyword in its primary header"
        f"{nearest(name.upper(), list(cards))}"
    )
