"""What stands out among others of its kind: statistics, parameters and reference files."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .collect import Found, Run

FACTS = ("instrument", "exposure_type", "filter", "detector")
"""What a group has in common; a wider group goes without the last, then without the last two."""
ENOUGH = 10
"""A group of fewer is too small: its members are compared with the wider one."""
FEWEST = 5
"""With fewer of them than this nothing is compared."""
MAD_TO_SIGMA = 1.4826
STANDS_OUT = 5.0
"""Times the scatter of its group by which a statistic differs that is called an outlier."""
RELATIVE = 0.02
"""Of the typical value: a scatter below this is taken for this, since it says nothing."""
ABSOLUTE = {
    "saturated_fraction": 0.002,
    "jump_fraction": 0.002,
    "do_not_use_fraction": 0.002,
    "nan_fraction": 0.002,
    "spectrum_flagged_fraction": 0.01,
    "tweakreg_offset_arcsec": 0.01,
    "tweakreg_scatter_arcsec": 0.003,
    "source_fwhm_pixels": 0.05,
    "spectrum_snr": 1.0,
}
"""Likewise, in the unit of a statistic."""
OF_THE_NOISE = {
    "sky": 0.1,
    "row_scatter": 0.02,
    "column_scatter": 0.02,
    "row_outlier": 0.05,
    "column_outlier": 0.05,
    "background_scatter": 0.02,
}
"""Likewise, as a fraction of ``sky_rms`` of the group."""
_NOT_COMPARED = ("spectra",)


@dataclass(frozen=True)
class Deviation:
    """A statistic of a product beside those of its group.

    Attributes
    ----------
    product, statistic : str
    value, typical, scatter : float
        Typical is the median of the group, scatter 1.4826 times the median absolute deviation.
    times : float
        By how many times the scatter the value differs; negative if it is less.
    group : str
        What the group has in common.
    size : int
    is_wider : bool
        Whether the product's own group is too small, so that this is a wider one.
    """

    product: str
    statistic: str
    value: float
    typical: float
    scatter: float
    times: float
    group: str
    size: int
    is_wider: bool

    def __str__(self) -> str:
        wider = ", a wider group since its own has under ten" if self.is_wider else ""
        return (
            f"{self.statistic} {self.value:.4g} is {abs(self.times):.3g} × the scatter "  # noqa: RUF001
            f"{'above' if self.times > 0 else 'below'} the median {self.typical:.4g} of "
            f"{self.size} ({self.group}{wider})"
        )


def deviations(found: Found) -> dict[str, list[Deviation]]:
    """Compare each statistic of each product with its group; by input, the largest first."""
    by_group = _Groups(found)
    result: dict[str, list[Deviation]] = {}
    for item in found.items:
        each = [one for run in item.runs for name in run.products for one in by_group.of(run, name)]
        result[item.name] = sorted(each, key=lambda one: -abs(one.times))
    return result


def kind_of(product: str) -> str:
    """Give the suffix of a product's name, such as ``cal``."""
    return product.rpartition(".")[0].rpartition("_")[2]


class _Groups:
    """The values of each statistic in each group, and what is typical of it."""

    def __init__(self, found: Found) -> None:
        self._values: dict[tuple[Any, ...], dict[str, list[float]]] = {}
        self._typical: dict[tuple[Any, ...], tuple[float, float, int]] = {}
        for run in found.runs:
            for product, statistics in run.statistics.items():
                for key in _keys(run, product):
                    values = self._values.setdefault(key, defaultdict(list))
                    for name, value in statistics.items():
                        if value is not None:
                            values[name].append(value)

    def of(self, run: Run, product: str) -> Iterator[Deviation]:
        for name, value in run.statistics.get(product, {}).items():
            if value is None or name in _NOT_COMPARED:
                continue
            keys = _keys(run, product)
            sizes = [len(self._values[key][name]) for key in keys]
            number = next((n for n, size in enumerate(sizes) if size >= ENOUGH), len(keys) - 1)
            if sizes[number] < FEWEST:
                continue
            typical, scatter, size = self._what_is_typical(keys[number], name)
            yield Deviation(
                product,
                name,
                value,
                typical,
                scatter,
                (value - typical) / scatter if scatter else 0.0,
                " ".join(str(part) for part in keys[number] if part),
                size,
                number > 0,
            )

    def _what_is_typical(self, key: tuple[Any, ...], name: str) -> tuple[float, float, int]:
        if (key, name) not in self._typical:
            values = self._values[key][name]
            middle, scatter = _robust(values)
            noise = median(self._values[key].get("sky_rms") or [0.0])
            least = max(
                RELATIVE * abs(middle),
                ABSOLUTE.get(name, 0.0),
                OF_THE_NOISE.get(name, 0.0) * noise,
                math.sqrt(max(middle, 1.0)) if name == "sources" else 0.0,
            )
            self._typical[key, name] = middle, max(scatter, least), len(values)
        return self._typical[key, name]


def _robust(values: Sequence[float]) -> tuple[float, float]:
    middle = median(values)
    return middle, MAD_TO_SIGMA * median(abs(value - middle) for value in values)


def _keys(run: Run, product: str) -> list[tuple[Any, ...]]:
    """Name the groups of a product, from its own to the widest."""
    header = run.headers.get(product, {})
    facts = [header.get(name, "") for name in FACTS]
    kind = ("combined" if run.is_combined else "", kind_of(product))
    return [(*kind, *facts[:count]) for count in range(len(FACTS), 0, -1)]


def differing(found: Found) -> dict[str, tuple[list[str], list[str]]]:
    """Say by input which parameters, and which reference files, are not those of most others.

    Parameters are compared among the runs of a pipeline, reference files among those of the same
    instrument, exposure type, filter and detector, where more than half of at least three agree.
    """
    parameters = _Usual()
    references = _Usual()
    for run in found.runs:
        parameters.add(run.pipeline, run.parameters)
        references.add((run.pipeline, *_group(run)), run.references)
    return {
        item.name: (
            [
                line
                for run in item.runs
                for line in parameters.unusual(run.pipeline, run.parameters)
            ],
            [
                line
                for run in item.runs
                for line in references.unusual((run.pipeline, *_group(run)), run.references)
            ],
        )
        for item in found.items
    }


def _group(run: Run) -> tuple[Any, ...]:
    return tuple(run.header.get(name, "") for name in FACTS)


class _Usual:
    """What most of a group have; sets of values that many share are looked at once."""

    def __init__(self) -> None:
        self._counts: dict[Any, Counter[int]] = defaultdict(Counter)
        self._sets: dict[int, Mapping[str, Any]] = {}
        self._usual: dict[Any, dict[str, str]] = {}
        self._lines: dict[tuple[Any, int], list[str]] = {}

    def add(self, group: Any, values: Mapping[str, Any]) -> None:
        self._counts[group][id(values)] += 1
        self._sets[id(values)] = values

    def unusual(self, group: Any, values: Mapping[str, Any]) -> list[str]:
        key = (group, id(values))
        if key not in self._lines:
            usual = self._of(group)
            texts = {name: _text(value) for name, value in values.items()}
            self._lines[key] = [
                f"{name} = {texts.get(name, 'absent')} (most: {text})"
                for name, text in usual.items()
                if texts.get(name, "absent") != text
            ]
        return self._lines[key]

    def _of(self, group: Any) -> dict[str, str]:
        if group not in self._usual:
            counts, total = self._counts[group], sum(self._counts[group].values())
            by_name: dict[str, Counter[str]] = defaultdict(Counter)
            for which, count in counts.items() if len(counts) > 1 and total >= 3 else ():
                for name, value in self._sets[which].items():
                    by_name[name][_text(value)] += count
            most = {name: texts.most_common(1)[0] for name, texts in by_name.items()}
            self._usual[group] = {
                name: text for name, (text, count) in most.items() if 2 * count > total
            }
        return self._usual[group]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
