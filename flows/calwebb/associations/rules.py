"""jwst's own rules, applied to a pool: the associations that ``asn_generate`` makes, sooner.

The generator of jwst makes an instance of every rule for every exposure, and asks every
association that exists. Nearly all say no, and to exposures of one kind for the same reason. Here
rules and associations remember which columns of the pool they looked at before they said no, and
what was in these: another exposure with the same is refused at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from inspect import isclass
from typing import TYPE_CHECKING, Any

from jwst.associations.generator.generate import generate
from jwst.associations.generator.generate_per_candidate import ids_by_ctype, pool_from_candidate
from jwst.associations.lib.rules_level2_base import DMSLevel2bBase
from jwst.associations.lib.utilities import constrain_on_candidates, filter_discovered_only
from jwst.associations.pool import PoolRow
from jwst.associations.registry import AssociationRegistry
from jwst.lib.suffix import remove_suffix

if TYPE_CHECKING:
    from jwst.associations import Association, AssociationPool

CANDIDATE, DISCOVER = "candidate", "discover"
"""Names of the two sets of rules, which become part of ``asn_rule``: those of asn_generate."""


def associations_of(pool: AssociationPool) -> list[Association]:
    """Make all associations of a pool: of its candidates, and those discovered beside them.

    The order of work is that of ``jwst.associations.generator.generate_per_candidate``, as
    ``asn_generate`` calls it where no candidates are chosen.
    """
    made: list[Association] = []
    rules = _Rules(name=CANDIDATE)
    for kind, candidates in ids_by_ctype(pool).items():
        for candidate in candidates:
            rows = pool_from_candidate(pool, candidate)
            rows["asn_candidate"] = [f"[('{candidate}', '{kind}')]"] * len(rows)
            rules.take_only(candidate)
            made += generate(rows, rules, finalize=False)
    rules = _Rules(name=DISCOVER)
    made += generate(pool, rules, finalize=False)
    made = filter_discovered_only(made, DISCOVER, CANDIDATE)
    finalized = [
        each for part in _parts(made) for each in rules.callback.reduce("finalize", part) or ()
    ]
    rules.Utility.resequence(finalized)
    return finalized


class _Rules(AssociationRegistry):  # type: ignore[misc]
    """The rules of jwst, of which each remembers what it refused."""

    def add_rule(self, name: str, obj: Any, global_constraints: Any = None) -> None:
        if isclass(obj):
            obj = type(obj.__name__, (_Remembering, obj), {"refused_by_rule": _Refusals()})
        super().add_rule(name, obj, global_constraints=global_constraints)

    def take_only(self, candidate: str) -> None:
        """Take exposures of one candidate from now on.

        jwst makes all rules again for each candidate. What they refused of another they may
        remember: each candidate is another value of a column.
        """
        only = constrain_on_candidates([candidate])
        for rule in self.values():
            rule.GLOBAL_CONSTRAINT = only


class _Item(PoolRow):  # type: ignore[misc]
    """A row of the pool that notes which of its columns are looked at."""

    def __init__(self, row: PoolRow) -> None:
        self.data, self.meta, self.seen = row.data, row.meta, set[str]()

    def __getitem__(self, column: str) -> Any:
        self.seen.add(column)
        return self.data[column]

    def __contains__(self, column: object) -> bool:
        self.seen.add(str(column))
        return column in self.data


class _Refusals:
    """What was refused: columns, their values, and what the refusal left behind."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], dict[tuple[Any, ...], Any]] = {}

    def find(self, row: PoolRow, before: Any = None) -> tuple[Any] | None:
        """Give what the refusal of such a row left behind, or `None` if there was none."""
        values = row.data.get
        for columns, refused in self._known.items():
            signature = (before, *map(values, columns))
            if signature in refused:
                return (refused[signature],)
        return None

    def add(self, item: _Item, before: Any = None, after: Any = None) -> None:
        columns = tuple(sorted(item.seen))
        signature = (before, *map(item.data.get, columns))
        self._known.setdefault(columns, {})[signature] = after


class _Remembering:
    """Mixed into a rule: it asks its constraints only about what they have not refused before."""

    refused_by_rule: _Refusals
    original_exposure_type: Any
    constraints: Any
    from_items: list[PoolRow]

    @classmethod
    def create(cls, item: PoolRow, version_id: str | None = None) -> tuple[Any, list[Any]]:
        if cls.refused_by_rule.find(item):
            return None, []
        noted = _Item(item)
        made: Any
        made, again = super().create(noted, version_id)  # type: ignore[misc]
        if made is None and not again:
            cls.refused_by_rule.add(noted)
        return made, again

    def add(self, item: PoolRow, check_constraints: bool = True) -> tuple[bool, list[Any]]:
        mine = self.__dict__
        if "members_by_name" not in mine:
            mine.update(members_by_name=set(), refused=_Refusals(), forced=self._is_forced())
        if self.is_item_member(item):
            return True, []
        before = mine.get("original_exposure_type")
        if left := mine["refused"].find(item, before):
            self._leave(left[0])
            return False, []
        noted = item if isinstance(item, _Item) else _Item(item)
        matches, again = super().add(noted, check_constraints)  # type: ignore[misc]
        if matches or mine["forced"]:
            mine.update(
                members_by_name={member.data["filename"] for member in self.from_items},
                refused=_Refusals(),
            )
        elif not again:
            mine["refused"].add(noted, before, mine.get("original_exposure_type"))
        return matches, again

    def is_item_member(self, item: PoolRow) -> bool:
        return item.data["filename"] in self.__dict__["members_by_name"]

    def _is_forced(self) -> bool:
        """Tell whether it may say no to what it takes, so that a no may change it."""
        try:
            return bool(self.constraints["force_match"])
        except (KeyError, TypeError):
            return False

    def _leave(self, kind: Any) -> None:
        """Leave behind what the constraints of stage 2 note of the exposure asked about last."""
        if kind is not None:
            self.original_exposure_type = kind

    def __eq__(self, other: object) -> bool:
        """Compare members only where type and level of the candidate do not tell them apart."""
        if isinstance(other, _Remembering) and _kind(self) != _kind(other):
            return False
        return bool(super().__eq__(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def _kind(association: Any) -> tuple[str, str]:
    return association["asn_type"], association["asn_id"][0]


def _parts(associations: Sequence[Association]) -> Iterator[list[Association]]:
    """Part associations of which each has no exposure in common with those of other parts.

    Finalizing compares each with each: what has nothing in common is never the same.
    """
    groups: dict[tuple[bool, str], int] = {}
    parts: dict[int, list[int]] = defaultdict(list)
    for number, association in enumerate(associations):
        # isinstance would ask every rule there is whether it is abstract, for each association.
        of_stage_2 = DMSLevel2bBase in type(association).__mro__
        names = [(of_stage_2, name) for name in _exposures(association)]
        joined = {groups[name] for name in names if name in groups}
        into = min(joined, default=number)
        for other in joined - {into}:
            moved = parts.pop(other)
            parts[into] += moved
            groups.update(dict.fromkeys((key for key in groups if groups[key] == other), into))
        parts[into].append(number)
        groups.update(dict.fromkeys(names, into))
    for part in parts.values():
        yield [associations[number] for number in sorted(part)]


def _exposures(association: Any) -> Iterable[str]:
    for product in association["products"]:
        for member in product["members"]:
            yield remove_suffix(str(member["expname"]).rpartition(".")[0])[0]
