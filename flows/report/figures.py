"""Figures of a report, as SVG: where time and memory went, and footprints on the sky."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from .collect import Found, Run

WIDTH, MARGIN = 960, 90
LANE = 12
LANES = 60
"""Lanes of the timeline that are drawn, at most."""
COLOURS = 5
"""Classes ``c0`` … of the style that pipelines have in turn."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
Point = tuple[float, float]


def timeline(found: Found) -> str:
    """Draw each run as a bar, with those beside one another that went on at the same time."""
    lanes = _lanes(found)
    if not lanes:
        return ""
    start, end, across = _scale(lanes)
    pipelines = list(dict.fromkeys(run.pipeline for lane in lanes for run in lane))
    shown = lanes[:LANES]
    parts = []
    for number, lane in enumerate(shown):
        for run in lane:
            assert run.started is not None
            x, width = across(run.started.timestamp()), run.seconds / (end - start)
            title = f"{run.record.name}: {run.seconds:.1f} s, {run.memory:.0f} MB"
            parts.append(
                f'<rect class="c{pipelines.index(run.pipeline) % COLOURS}" x="{x:.1f}" '
                f'y="{number * LANE}" width="{max(1.0, width * (WIDTH - MARGIN)):.1f}" '
                f'height="{LANE - 2}"><title>{escape(title)}</title></rect>'
            )
    height = len(shown) * LANE
    parts.append(_time_axis(start, end, height))
    more = f"; {len(lanes) - LANES} more lanes are not drawn" if lanes[LANES:] else ""
    legend = "".join(
        f'<tspan class="c{number % COLOURS}" dx="12">■ {escape(name)}</tspan>'
        for number, name in enumerate(pipelines)
    )
    parts.append(f'<text x="{MARGIN}" y="{height + 36}">{legend}</text>')
    return _svg(parts, height + 44, f"runs over time: {len(lanes)} at a time at most{more}")


def memory(found: Found) -> str:
    """Draw the memory of all runs that went on at the same time, by the peak of each."""
    lanes = _lanes(found)
    if not lanes:
        return ""
    start, end, across = _scale(lanes)
    changes: list[tuple[float, float]] = []
    for run in (run for lane in lanes for run in lane):
        assert run.started is not None
        changes += [
            (run.started.timestamp(), run.memory),
            (run.started.timestamp() + run.seconds, -run.memory),
        ]
    level, levels = 0.0, [(start, 0.0)]
    for when, change in sorted(changes):
        levels += [(when, level), (when, level + change)]
        level += change
    most = max(level for _, level in levels) or 1.0
    points = " ".join(f"{across(when):.1f},{100 - 90 * level / most:.1f}" for when, level in levels)
    return _svg(
        [
            f'<polygon class="c0 area" points="{MARGIN},100 {points} {WIDTH},100"/>',
            f'<text x="{MARGIN - 6}" y="16" text-anchor="end">{most / 1000:.3g} GB</text>',
            f'<text x="{MARGIN - 6}" y="100" text-anchor="end">0</text>',
            _time_axis(start, end, 100),
        ],
        124,
        f"memory over time, at most {most / 1000:.3g} GB",
    )


def footprints(regions: Sequence[tuple[str, str, bool]]) -> str:
    """Draw footprints, given as name, ``s_region`` and whether it is that of a mosaic."""
    outlines = [
        (name, outline, is_mosaic)
        for name, region, is_mosaic in regions
        for outline in _outlines(region)
    ]
    if not outlines:
        return ""
    centre = _centre(point for _, outline, _ in outlines for point in outline)
    flat = [(n, [_projected(p, centre) for p in outline], m) for n, outline, m in outlines]
    reach = max(max(abs(x), abs(y)) for _, outline, _ in flat for x, y in outline) or 1e-6
    parts = []
    for name, outline, is_mosaic in sorted(flat, key=lambda each: not each[2]):
        points = " ".join(
            f"{150 - 135 * x / reach:.1f},{150 - 135 * y / reach:.1f}" for x, y in outline
        )
        kind = "mosaic" if is_mosaic else "member"
        parts.append(
            f'<polygon class="{kind}" points="{points}"><title>{escape(name)}</title></polygon>'
        )
    bar = _round(reach * 3600)
    length = 135 * bar / (reach * 3600)
    parts.append(f'<path class="axis" d="M12 288h{length:.1f}"/>')
    unit = f"{bar:g} arcsec" if bar < 60 else f"{bar / 60:g} arcmin"
    parts.append(f'<text x="12" y="282">{unit}</text>')
    parts.append('<text x="150" y="12" text-anchor="middle">N</text><text x="2" y="154">E</text>')
    where = f"{centre[0]:.5f}°, {centre[1]:+.5f}°"
    parts.append(f'<text x="298" y="296" text-anchor="end">ICRS {where}</text>')
    label = f"footprints of {len(regions)} products around {where}"
    return (
        f'<svg class="sky" viewBox="0 0 300 300" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _lanes(found: Found) -> list[list[Run]]:
    """Put runs into as few lanes as there were at a time."""
    lanes: list[list[Run]] = []
    ends: list[datetime] = []
    runs = [run for run in found.runs if run.started and run.ended]
    for run in sorted(runs, key=lambda run: (str(run.started), run.seconds)):
        assert run.started is not None and run.ended is not None
        free = next((n for n, end in enumerate(ends) if end <= run.started), None)
        if free is None:
            lanes.append([])
            ends.append(run.ended)
            free = len(lanes) - 1
        lanes[free].append(run)
        ends[free] = run.ended
    return lanes


def _scale(lanes: Iterable[Iterable[Run]]) -> tuple[float, float, _Across]:
    runs = [run for lane in lanes for run in lane]
    start = min(run.started.timestamp() for run in runs if run.started)
    end = max(run.ended.timestamp() for run in runs if run.ended)
    end = max(end, start + 1.0)
    return start, end, _Across(start, end)


class _Across:
    """Where a time is drawn."""

    def __init__(self, start: float, end: float) -> None:
        self._start, self._length = start, end - start

    def __call__(self, when: float) -> float:
        return MARGIN + (WIDTH - MARGIN) * (when - self._start) / self._length


def _time_axis(start: float, end: float, y: float) -> str:
    first, last = (datetime.fromtimestamp(when).astimezone() for when in (start, end))
    return (
        f'<path class="axis" d="M{MARGIN} {y + 2}H{WIDTH}"/>'
        f'<text x="{MARGIN}" y="{y + 16}">{first:%Y-%m-%d %H:%M:%S}</text>'
        f'<text x="{WIDTH}" y="{y + 16}" text-anchor="end">'
        f"{last:%H:%M:%S}, after {duration(end - start)}</text>"
    )


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _svg(parts: Iterable[str], height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _outlines(region: str) -> Iterator[list[Point]]:
    """Read the polygons of an ``s_region``, in degrees; those in other frames are left out."""
    for text in region.upper().split("POLYGON")[1:]:
        numbers = [float(each) for each in _NUMBER.findall(text.replace("ICRS", ""))]
        if len(numbers) >= 6 and "FK" not in text and "GALACTIC" not in text:
            yield list(zip(numbers[::2], numbers[1::2], strict=False))


def _centre(points: Iterable[Point]) -> Point:
    x = y = z = 0.0
    for ra, dec in points:
        ra, dec = math.radians(ra), math.radians(dec)
        x, y, z = (
            x + math.cos(dec) * math.cos(ra),
            y + math.cos(dec) * math.sin(ra),
            z + math.sin(dec),
        )
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


def _projected(point: Point, centre: Point) -> Point:
    """Project onto the plane that touches the sky at the centre, in degrees, east positive."""
    ra, dec, ra0, dec0 = (math.radians(each) for each in (*point, *centre))
    cosine = math.sin(dec0) * math.sin(dec) + math.cos(dec0) * math.cos(dec) * math.cos(ra - ra0)
    cosine = max(cosine, 0.05)  # what is on the other side of the sky stays at the edge
    x = math.cos(dec) * math.sin(ra - ra0) / cosine
    y = math.cos(dec0) * math.sin(dec) - math.sin(dec0) * math.cos(dec) * math.cos(ra - ra0)
    return math.degrees(x), math.degrees(y / cosine)


def _round(value: float) -> float:
    power = 10 ** math.floor(math.log10(value))
    return float(next(each for each in (5, 2, 1) if each * power <= value) * power)
