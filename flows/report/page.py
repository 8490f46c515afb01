"""The page: one file with all in it, from a template, for a browser without a network."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flows.compare.page import STYLE
from stpipe_prefect.exceptions import OutputError, reason
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.products.staging import check_output_dir
from stpipe_prefect.provenance.record import log_path
from stpipe_prefect.remote.urls import as_urls, url_of

from . import figures
from .attention import Attention, attention
from .collect import Found, Item, Run, collect
from .groups import STANDS_OUT, Deviation, deviations, differing, kind_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from stpipe_prefect.comparison.folders import FolderComparison
    from stpipe_prefect.execution.results import Result

FOLDER = Path(__file__).parent
PICTURES = 32_000_000
"""Bytes of quick looks in a page, about: of many inputs, each has fewer."""
ATTENTION = 100
"""What needs attention and is listed at once; the rest is in the table."""
FIELDS = 24
"""Fields on the sky that are drawn."""


def write_report(
    path: Path,
    folders: Iterable[Path],
    results: Sequence[Result] | None = None,
    compared: FolderComparison | None = None,
) -> None:
    """Write a report of what lies in folders, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Of the page.
    folders : iterable of pathlib.Path
        With products and their records.
    results : sequence of Result, optional
        Of the command that made the products: it alone knows what failed.
    compared : FolderComparison, optional
        Put into the page.

    Raises
    ------
    InputError
        There is nothing to report.
    OutputError
        The page cannot be written.
    """
    folders = [folder.absolute() for folder in folders]
    text = page(collect(folders, results), folders, path.absolute().parent, compared)
    written(path, as_urls(text))


def check_page(path: Path) -> None:
    """Make sure that a page can be written, before any time is spent on what it is about."""
    if path.is_dir():
        raise OutputError(f"{path}: the page cannot be written: this is a folder, name a file")
    try:
        check_output_dir(path.absolute().parent)
    except OutputError as error:
        advice = "name a file elsewhere"
        raise OutputError(f"{path}: the page cannot be written: {error}; {advice}") from error


def written(path: Path, text: str) -> None:
    """Write a page, whole or not at all."""
    check_page(path)
    temporary = path.with_name(f".{path.name}.unfinished")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError(f"{path}: the page cannot be written: {reason(error)}") from error


def attention_lines(folders: Iterable[Path], results: Sequence[Result]) -> list[tuple[str, str]]:
    """Give what needs attention among some results: the kind, and a line."""
    found = collect(folders, results)
    only = {result.name for result in results}
    return [(each.kind, str(each)) for each in attention(found, deviations(found), only)]


def page(
    found: Found, folders: Sequence[Path], place: Path, compared: FolderComparison | None = None
) -> str:
    """Make the text of the page; its links lead from the folder `place`."""
    deviating, unusual = deviations(found), differing(found)
    listed = attention(found, deviating)
    kinds: dict[str, list[str]] = {}
    for each in listed:
        kinds.setdefault(each.item, []).append(each.kind)
    budget = PICTURES // max(len(found.items), 1)
    rows = [
        _row(
            item, deviating[item.name], unusual[item.name], kinds.get(item.name, []), place, budget
        )
        for item in found.items
    ]
    return (
        environment()
        .get_template("page.html")
        .render(
            title=", ".join(folder.name or str(folder) for folder in folders) or "no products",
            folders=folders,
            script=(FOLDER / "page.js").read_text(),
            head=_head(found),
            outcomes=_outcomes(found, listed),
            attention=listed[:ATTENTION],
            not_listed=len(listed) - ATTENTION,
            stands_out=STANDS_OUT,
            found=found,
            data=_embedded(rows),
            fields=_fields(found),
            timeline=figures.timeline(found),
            memory=figures.memory(found),
            compared=_compared(compared),
        )
    )


def environment() -> Environment:
    """Give the templates, with the style of all pages."""
    from jinja2 import Environment, FileSystemLoader

    made = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True)
    made.globals["style"] = STYLE + (FOLDER / "page.css").read_text()
    return made


def _embedded(rows: Any) -> str:
    """Write JSON for a script element, which ends at the first tag that looks like its end."""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c")


def _compared(compared: FolderComparison | None) -> str:
    if compared is None:
        return ""
    from flows.compare.page import sections

    return "\n".join(sections(compared))


def _head(found: Found) -> list[tuple[str, str]]:
    """Say what, when, with what, how long."""
    runs = found.runs
    started = [run.started for run in runs if run.started]
    ended = [run.ended for run in runs if run.ended]
    versions = Counter(f"{name} {number}" for run in runs for name, number in run.versions.items())
    rows = [
        ("inputs", f"{len(found.items)}, {len(runs)} runs of pipelines"),
        ("pipelines", _counted(run.pipeline for run in runs)),
        ("instruments", _counted(str(item.header.get("instrument", "")) for item in found.items)),
        ("context", _counted(run.context for run in runs)),
        ("versions", ", ".join(name for name, _ in versions.most_common(12))),
        ("host", _counted(run.host for run in runs)),
    ]
    if started and ended:
        first, last = min(started).astimezone(UTC), max(ended).astimezone(UTC)
        rows.append(("when", f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC"))
        total = figures.duration(sum(run.seconds for run in runs))
        rows.append(
            ("time", f"{figures.duration((last - first).total_seconds())}; of runs {total}")
        )
        largest = max(runs, key=lambda run: run.memory)
        rows.append(("largest memory", f"{largest.memory:.0f} MB, {largest.record.name}"))
    rows.append(("report", f"of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))
    return [(name, text) for name, text in rows if text]


def _counted(names: Iterable[str]) -> str:
    counts = Counter(name for name in names if name)
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(12))


def _outcomes(found: Found, listed: Iterable[Attention]) -> list[tuple[str, int]]:
    counts = Counter(item.outcome for item in found.items)
    kinds = Counter(each.kind for each in listed)
    return [
        *((str(outcome), counts[outcome]) for outcome in Outcome if counts[outcome]),
        *((f"with {kind}s", kinds[kind]) for kind in ("caveat", "outlier") if kinds[kind]),
    ]


def _row(
    item: Item,
    deviating: Sequence[Deviation],
    unusual: tuple[list[str], list[str]],
    kinds: Sequence[str],
    place: Path,
    budget: int,
) -> dict[str, Any]:
    """Put into JSON what the table shows of an input, and what it opens to."""
    header = item.header
    seconds = sum(run.seconds for run in item.runs)
    by_statistic = {(each.product, each.statistic): each for each in deviating}
    looks = _affordable(item, budget)
    return {
        "name": item.name,
        "outcome": item.outcome,
        "failure": item.failure,
        "kinds": list(kinds),
        "times": round(abs(deviating[0].times), 1) if deviating else 0,
        "facts": " ".join(
            str(header[name])
            for name in ("instrument", "detector", "filter", "pupil", "exposure_type", "target")
            if header.get(name) not in (None, "", "N/A", "CLEAR")
        ),
        "seconds": round(seconds, 2),
        "memory": round(max((run.memory for run in item.runs), default=0)),
        "parameters": unusual[0],
        "references": unusual[1],
        "runs": [_run(run, by_statistic, looks, place) for run in item.runs],
    }


def _run(
    run: Run,
    by_statistic: Mapping[tuple[str, str], Deviation],
    looks: Mapping[str, Mapping[str, Any]],
    place: Path,
) -> dict[str, Any]:
    folder = run.record.parent
    return {
        "pipeline": run.pipeline,
        "outcome": run.outcome,
        "seconds": run.seconds,
        "memory": run.memory,
        "started": f"{run.started:%Y-%m-%d %H:%M:%S %Z}" if run.started else "",
        "context": run.context,
        "steps": [
            [row["step"], row["outcome"], row.get("seconds", 0), row.get("model", "")]
            for row in run.steps
        ],
        "degraded": run.degraded,
        "remarks": run.remarks,
        "warnings": run.warnings,
        "record": _link(run.record, place),
        "log": _link(log_path(run.record), place),
        "inputs": len(run.inputs),
        "products": [
            {
                "name": name,
                "link": _link(folder / name, place),
                "unit": run.headers.get(name, {}).get("unit", ""),
                "look": looks.get(name),
                "statistics": [
                    [statistic, value, *_beside(by_statistic.get((name, statistic)))]
                    for statistic, value in run.statistics.get(name, {}).items()
                ],
            }
            for name in run.products
        ],
    }


def _beside(found: Deviation | None) -> list[Any]:
    """Give what a statistic is compared with."""
    if found is None:
        return []
    wider = " (wider: under ten)" if found.is_wider else ""
    return [found.typical, round(found.times, 1), f"{found.size} of {found.group}{wider}"]


def _affordable(item: Item, budget: int) -> dict[str, Mapping[str, Any]]:
    """Choose the quick looks that there is room for: of each run the first, then the others."""
    ordered = [
        (number, -order, name, look)
        for order, run in enumerate(item.runs)
        for number, (name, look) in enumerate(
            sorted(run.looks.items(), key=lambda each: len(each[1].get("shape", (0, 0))))
        )
    ]
    chosen: dict[str, Mapping[str, Any]] = {}
    for _, _, name, look in sorted(ordered, key=lambda each: each[:2]):
        budget -= sum(len(text) for text in look.values() if isinstance(text, str))
        budget -= 20 * len(look.get("flux", ()))
        if budget < 0 and chosen:
            break
        chosen[name] = look
    return chosen


def _link(path: Path, place: Path) -> str:
    """Give the way from the page to a file, or its URL; empty where there is none."""
    if url := url_of(path):
        return url
    return quote(os.path.relpath(path, place)) if path.exists() else ""


def _fields(found: Found) -> list[dict[str, Any]]:
    """Group footprints: for each association its members and mosaics; else by target."""
    made = {name: item for item in found.items for run in item.runs for name in run.products}
    fields: list[dict[str, Any]] = []
    for item in found.items:
        for run in item.runs if item.is_combined else ():
            regions = [*_regions(run, item), *_member_regions(run, made)]
            members = [name for name in run.inputs[1:] if not name.endswith((".json", ".csv"))]
            fields.append(
                {
                    "title": item.name,
                    "members": members,
                    "sky": figures.footprints(regions),
                    "looks": [
                        {"name": name, "look": look}
                        for name, look in run.looks.items()
                        if kind_of(name) not in ("crf", "cal", "rate")
                    ][:3],
                }
            )
    targets: dict[str, list[tuple[str, str, bool]]] = {}
    for item in found.items:
        if not item.is_combined and item.runs:
            target, program = (item.header.get(name, "") for name in ("target", "program"))
            target = str(target or (f"program {program}" if program else ""))
            targets.setdefault(target, []).extend(_regions(item.runs[-1], item)[:1])
    for target, regions in targets.items():
        title = f"exposures of {target}" if target else "exposures"
        fields.append(
            {"title": title, "members": [], "sky": figures.footprints(regions), "looks": []}
        )
    return [field for field in fields if field["sky"] or field["looks"]][:FIELDS]


def _regions(run: Run, item: Item) -> list[tuple[str, str, bool]]:
    return [
        (f"{item.name}: {name}", str(header["s_region"]), item.is_combined)
        for name, header in run.headers.items()
        if header.get("s_region") and kind_of(name) != "crf"
    ]


def _member_regions(run: Run, made: Mapping[str, Item]) -> list[tuple[str, str, bool]]:
    found = []
    for name in run.inputs[1:]:
        item = made.get(name)
        header = (
            next((each.headers[name] for each in item.runs if name in each.headers), {})
            if item
            else {}
        )
        if header.get("s_region"):
            found.append((name, str(header["s_region"]), False))
    return found
