"""What would run, exposure by exposure and pipeline by pipeline, and why."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stpipe_prefect.exceptions import ContextError, CrdsServerError, InputError, ReferenceFileError
from stpipe_prefect.orchestration.plan import NO_PRODUCT, Plan, Planner
from stpipe_prefect.orchestration.request import Request, given_to
from stpipe_prefect.provenance.record import record_path
from stpipe_prefect.registry import find_step

from .jobs import Job, handed_on, needs_of, pipelines_of, run_names

UNREADABLE = "cannot be planned"


def plans(
    jobs: list[Job],
    output_dir: Path | None,
    shares: Mapping[str, Mapping[str, Any]],
    *,
    crds_context: str | None = None,
    ignore: Collection[str] = (),
    overwrite: bool = False,
    check_files: bool = False,
) -> Iterator[Plan]:
    """Plan every pipeline of every job.

    What an earlier pipeline makes anew is, for a later one, an input that changed.

    Parameters
    ----------
    jobs : list of Job
    output_dir : pathlib.Path or None
        Folder of the products; None: each input's own.
    shares : mapping
        Parameters for each pipeline.
    crds_context : str, optional
    ignore : collection of str
        See `stpipe_prefect.orchestration.plan.Planner`.
    overwrite : bool
        Run also what is up to date, and what is refused otherwise.
    check_files : bool
        Refuse a run for which members or references are absent.
    """
    with ExitStack() as planning:
        planners = {}
        for name in pipelines_of(jobs):
            step_class, share = find_step(name), dict(shares[name])
            config_file = share.pop("config_file", None)
            request = Request(step_class, given_to(step_class, share), config_file)
            planner = Planner(request, crds_context, ignore)
            planners[name] = planning.enter_context(planner)
        needs = needs_of(jobs)
        anew: dict[Path, set[str]] = defaultdict(set)
        for job in jobs:
            folder = output_dir or job.input.parent
            data: Path | None = job.input
            made: tuple[Path, ...] = ()
            refused = ""
            for number, name in enumerate(job.pipelines):
                if number > 0:
                    data = next(iter(handed_on(made, job)), None)
                if data is None:
                    plan = Plan(job.input.name, name, (NO_PRODUCT,))
                else:
                    plan = _planned(planners[name], name, data, folder)
                    plan = _after(anew[folder], job.reads[number:][:1], plan)
                if overwrite and plan.reasons != (UNREADABLE,):
                    plan = replace(plan, reasons=plan.reasons or ("--overwrite",), refusal="")
                elif refused:
                    plan = replace(plan, refusal=f"it comes after {refused}, which is refused")
                if check_files and not needs[job.input.name]:
                    plan = planners[name].checked(plan, str(data or job.input), folder)
                yield plan
                made = plan.products
                if plan.refusal:
                    refused = refused or name
                elif not plan.is_up_to_date:
                    anew[folder].update(*job.makes[number:][:1])


def _planned(planner: Planner, pipeline: str, data: Path, folder: Path) -> Plan:
    """Plan one pipeline; what is wrong with its input alone does not stop the plans of others."""
    try:
        return planner.plan(str(data), folder)
    except (ContextError, CrdsServerError):
        raise
    except (InputError, ReferenceFileError) as error:
        problem = str(error) if data.name in str(error) else f"{data}: {error}"
        return Plan(data.name, pipeline, (UNREADABLE,), refusal=problem)


def up_to_date(
    jobs: list[Job],
    output_dir: Path,
    shares: Mapping[str, Mapping[str, Any]],
    *,
    crds_context: str | None,
    ignore: Collection[str],
) -> Iterator[tuple[Job, list[Plan]]]:
    """Find, of many jobs, those with nothing to do; see `plans`.

    Of a single job its own process finds out. Where no job has a record there is nothing to
    plan with, and jwst need not be imported for it.
    """
    if len(jobs) < 2 or not any(_has_record(job, output_dir) for job in jobs):
        return
    planned = plans(jobs, output_dir, shares, crds_context=crds_context, ignore=ignore)
    for job in jobs:
        mine = list(islice(planned, len(job.pipelines)))
        if all(plan.is_up_to_date for plan in mine):
            yield job, mine


def _has_record(job: Job, folder: Path) -> bool:
    return record_path(folder, run_names(job)[0]).exists()


def show(planned: Iterable[Plan], console: Console) -> None:
    """Print a line for each plan, and how many there are of each kind."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("input", "pipeline", "plan"):
        table.add_column(title, overflow="fold")
    all_plans = list(planned)
    for plan in all_plans:
        style = "green" if plan.is_up_to_date else "red" if plan.refusal else "yellow"
        table.add_row(plan.input, plan.pipeline, Text(str(plan), style))
    console.print(table)
    to_run = sum(not plan.is_up_to_date and not plan.refusal for plan in all_plans)
    console.print(f"{to_run} of {len(all_plans)} will run")


def as_json(planned: Iterable[Plan]) -> str:
    """Give the plans as a JSON list."""
    return json.dumps([plan.as_json() for plan in planned], indent=1, ensure_ascii=False)


def _after(anew: Collection[str], reads: Iterable[Mapping[str, str]], plan: Plan) -> Plan:
    """Add what the pipelines before it do to the input."""
    if plan.reasons in ((NO_PRODUCT,), (UNREADABLE,)):
        return plan
    remade = [file for each in reads for product, file in each.items() if product in anew]
    if not remade:
        return plan
    others = f" and {len(remade) - 1} more" if remade[1:] else ""
    reason = f"input {remade[0]}{others} will be made anew"
    return replace(plan, reasons=(*plan.reasons, reason))
