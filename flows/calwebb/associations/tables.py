"""Associations as their files have them, spelled as the exposures are, under lasting names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stpipe_prefect.association import Association

from ..products import split_name


def table_of(association: Any) -> dict[str, Any]:
    """Give what the file of an association holds.

    Its ``constraints`` are those that have a value: jwst's text has addresses in memory in it,
    and would be another in every run.
    """
    found: dict[str, str] = {}
    for constraint in association.constraints:
        values = {_plain(value) for value in constraint.found_values if value}
        if isinstance(constraint.name, str) and values:
            found.setdefault(constraint.name, " ".join(sorted(values)))
    products = [
        {"name": product["name"], "members": [dict(member) for member in product["members"]]}
        for product in association["products"]
    ]
    given = ", ".join(f"{name}={values}" for name, values in found.items())
    return {**association.data, "constraints": given, "products": products}


def _plain(value: object) -> str:
    """Take the backslashes of a pattern away, and of a candidate all but its identifier."""
    text = str(value).replace("\\", "")
    candidate = re.fullmatch(r"\('(\w+)', '\w+'\)", text)
    return candidate[1] if candidate else text


def spell(table: dict[str, Any], exposures: Mapping[str, Path]) -> None:
    """Spell products and members as their exposures are: pools are in lower case."""

    def spelled(name: str) -> str:
        root, _ = split_name(name)
        path = exposures.get(root)
        return name if path is None else split_name(path.name)[0] + name[len(root) :]

    for product in table["products"]:
        product["name"] = spelled(product["name"])
        for member in product["members"]:
            member["expname"] = spelled(member["expname"])


def takes_rates(table: Mapping[str, Any]) -> bool:
    """Tell whether an association is of stage 2."""
    return str(table["asn_type"]).endswith("2")


def named(tables: Iterable[dict[str, Any]]) -> tuple[list[Association], list[str]]:
    """Give each a file whose name depends on nothing but its product and type, in order of stage.

    Where several would make the same product, each over that of the other, none is given, and
    what is said of them.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table in sorted(tables, key=lambda each: not takes_rates(each)):
        groups[_stem(table)].append(table)
    made = [
        Association(group[0], Path(f"{stem}_asn.json"))
        for stem, group in groups.items()
        if not group[1:]
    ]
    remarks = [
        f"{stem}: left out: {len(group)} associations of {group[0]['asn_rule']} with different "
        "members would make this product"
        for stem, group in groups.items()
        if group[1:]
    ]
    return made, remarks


def _stem(table: dict[str, Any]) -> str:
    association = Association(table)
    product = re.sub(r"[-_]?\{\w+\}", "", association.product_names[0])
    ints = "ints" if split_name(association.science[0])[1] == "rateints" else ""
    return f"{product}_{association.kind}{ints}"
