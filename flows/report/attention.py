"""What somebody has to look at, the most urgent first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stpipe_prefect.outcomes import Outcome

from .collect import Found, Item
from .groups import STANDS_OUT, Deviation

FAILED, DEGRADED, CAVEAT, OUTLIER = "failed", "degraded", "caveat", "outlier"
"""Kinds of attention, in this order."""


@dataclass(frozen=True)
class Attention:
    """Why one input is to be looked at.

    Attributes
    ----------
    kind : str
    item : str
        Name of the input.
    reasons : tuple of str
        The most important first.
    rank : float
        Among those of its kind the largest comes first.
    """

    kind: str
    item: str
    reasons: tuple[str, ...]
    rank: float = 0.0

    def __str__(self) -> str:
        more = f" (and {len(self.reasons) - 1} more)" if self.reasons[1:] else ""
        text = f"{self.reasons[0]}{more}"
        return text if self.item in self.reasons[0] else f"{self.item}: {text}"


def attention(
    found: Found, deviating: Mapping[str, Sequence[Deviation]], only: set[str] | None = None
) -> list[Attention]:
    """List what needs attention; an input may be listed for several kinds of reasons.

    Outliers are ranked by how many times the scatter of their group they differ. With `only`,
    only these inputs are listed; they are compared with all.
    """
    listed: list[Attention] = []
    for item in found.items:
        if only is None or item.name in only:
            listed += _of(item, deviating.get(item.name, ()))
    order = (FAILED, DEGRADED, CAVEAT, OUTLIER)
    return sorted(listed, key=lambda each: (order.index(each.kind), -each.rank, each.item))


def _of(item: Item, deviating: Sequence[Deviation]) -> list[Attention]:
    listed = []
    if item.failure:
        listed.append(Attention(FAILED, item.name, (item.failure,)))
    degraded = tuple(f"{run.pipeline}, {line}" for run in item.runs for line in run.degraded)
    if degraded or item.outcome is Outcome.DEGRADED:
        listed.append(Attention(DEGRADED, item.name, degraded or ("a step did not do its work",)))
    remarks = tuple(f"{run.pipeline}, {line}" for run in item.runs for line in run.remarks)
    if remarks:
        listed.append(Attention(CAVEAT, item.name, remarks))
    outliers = [each for each in deviating if abs(each.times) >= STANDS_OUT]
    if outliers:
        reasons = tuple(f"{each.product}: {each}" for each in outliers)
        listed.append(Attention(OUTLIER, item.name, reasons, abs(outliers[0].times)))
    return listed
