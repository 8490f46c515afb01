"""What the command shows before and after it runs: tables of the plan, and of what was made."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stpipe_prefect.cli.exit import say
from stpipe_prefect.execution.results import Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.provenance.plans import Plan
from stpipe_prefect.remote.store import mark_of
from stpipe_prefect.remote.urls import is_url, url_of

if TYPE_CHECKING:
    from .associations import Associated
    from .campaign import Campaign
    from .job import Job

LISTED = 12
"""How many inputs have their products listed one by one, and how many caveats are shown."""


def show_plan(
    console: Console,
    jobs: Sequence[Job],
    associated: Associated | None,
    excluded: Mapping[Path, str],
) -> None:
    """Say what would run, why, with which parameters of its own, and what is left out."""
    plans = [plan for job in jobs for plan in job.plans or ()]
    if associated:
        console.print(_associations(associated))
    console.print(_plans(plans, excluded))
    for line in dict.fromkeys(line for job in jobs for line in job.parameter_lines()):
        console.print(line, soft_wrap=True)
    to_run = sum(not plan.is_up_to_date and not plan.refusal for plan in plans)
    console.print(f"{to_run} of {len(plans)} will run")


def show_plan_as_json(
    jobs: Sequence[Job], associated: Associated | None, excluded: Mapping[Path, str]
) -> None:
    """Print the plan for a program to read."""
    found = {each["file"]: each for each in (associated.as_json() if associated else ())}
    listed = [
        plan.as_json()
        | ({"association": found[plan.input]} if plan.input in found else {})
        | ({"parameters": said} if (said := job.says(plan.pipeline)) else {})
        for job in jobs
        for plan in job.plans or ()
    ]
    listed += [{"input": path.name, "excluded": why} for path, why in excluded.items()]
    print(json.dumps(listed, indent=1, ensure_ascii=False))


def show_results(console: Console, campaign: Campaign, *, debug: bool) -> None:
    """Say what became of a campaign."""
    command, output_dir = campaign.mission.command, campaign.output_dir or Path()
    caveats = [line for result in campaign.results for line in result.caveats]
    for line in caveats[:LISTED]:
        console.print(line, style="yellow", soft_wrap=True)
    if caveats[LISTED:]:
        console.print(f"… and {len(caveats) - LISTED} more caveats, in the records")
    show_excluded(console, campaign.excluded)
    if any(result.products for result in campaign.results):
        console.print(result_table(campaign.results))
        console.print(f"products are in {url_of(output_dir) or output_dir.resolve()}")
    show_report(console, campaign.report)
    for result in campaign.results:
        if debug:
            sys.stderr.write(result.ended.traceback)
        say(command, "\n".join(f"degraded: {line}" for line in result.degraded))
        say(command, result.failure)


def show_report(console: Console, report: str | None) -> None:
    """Say where the page about the results is, if there is one."""
    if report:
        console.print(f"report: {Path(report).resolve()}", soft_wrap=True)


def show_excluded(console: Console, excluded: Mapping[Path, str]) -> None:
    """Say which inputs are left out, and why."""
    lines = [f"{path.name}: excluded: {why}" for path, why in excluded.items()]
    for line in lines[:LISTED]:
        console.print(line, soft_wrap=True)
    if lines[LISTED:]:
        console.print(f"… and {len(lines) - LISTED} more excluded")


def _associations(associated: Associated) -> Table:
    """List associations: what they make, of which members, and why these belong together."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("product", "type", "members", "why"):
        table.add_column(title, overflow="fold")
    for each in associated.associations:
        members = [f"{member['expname']} ({member['exptype']})" for member in each.each_member()]
        why = f"{each.table['asn_rule']}: {each.table['constraints']}"
        table.add_row("\n".join(each.product_names), each.kind, "\n".join(members), why)
    return table


def _plans(plans: Iterable[Plan], excluded: Mapping[Path, str]) -> Table:
    """List what would run, and why; then what is left out, and why."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("input", "pipeline", "plan"):
        table.add_column(title, overflow="fold")
    for plan in plans:
        style = "green" if plan.is_up_to_date else "red" if plan.refusal else "yellow"
        table.add_row(plan.input, plan.pipeline, Text(str(plan), style))
    for path, why in excluded.items():
        table.add_row(path.name, "", Text(f"excluded: {why}", "dim"))
    return table


def result_table(results: Sequence[Result]) -> Table:
    """List what was made of a few inputs, or how many of many came to which end."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    (_add_products if len(results) <= LISTED else _add_outcomes)(table, results)
    return table


def _add_products(table: Table, results: Sequence[Result]) -> None:
    """List the products with their sizes, and the time each pipeline took."""
    table.add_column("product", overflow="fold")
    table.add_column("MB", justify="right")
    table.add_column("made by")
    table.add_column("s", justify="right")
    for result in results:
        for each in result.pipelines:
            for number, product in enumerate(each.products):
                cached = each.outcome is Outcome.CACHED
                shared = f"shared with {each.shared}" if each.shared else Outcome.CACHED
                seconds = shared if cached else f"{each.seconds:.1f}"
                table.add_row(
                    Path(product).name,
                    f"{_size(product) / 1e6:.2f}",
                    each.pipeline,
                    "" if number else seconds,
                )


def _size(product: str) -> int:
    """Give the bytes of a product, on disk or in a store."""
    if not is_url(product):
        return Path(product).stat().st_size
    mark = mark_of(product)
    return mark.size if mark else 0


def _add_outcomes(table: Table, results: Sequence[Result]) -> None:
    table.add_column("outcome")
    table.add_column("exposures", justify="right")
    table.add_column("products", justify="right")
    table.add_column("longest, s", justify="right")
    table.add_column("largest, MB", justify="right")
    for outcome, count in Counter(result.outcome for result in results).most_common():
        mine = [result for result in results if result.outcome is outcome]
        table.add_row(
            outcome,
            str(count),
            str(sum(len(result.products) for result in mine)),
            f"{max(result.ended.seconds for result in mine):.1f}",
            f"{max(result.ended.peak_memory_mb for result in mine):.0f}",
        )
