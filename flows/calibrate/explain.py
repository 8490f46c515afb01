"""The parameters of every pipeline of a campaign, with their sources: ``--explain``.

No data are processed: an exposure is only asked what CRDS selects by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from stpipe_prefect.cli.explain import as_json, parameter_table
from stpipe_prefect.exceptions import UsageError, nearest
from stpipe_prefect.parameters.resolution import ResolvedParameter
from stpipe_prefect.references.needs import read_crds_parameters

from .campaign import Campaign
from .job import Job
from .jobs import exposures_behind, makers_of
from .memory import layers_for_memory

SHOWN = 3
"""How many inputs are named of those with the same parameters."""


@dataclass(frozen=True)
class Explained:
    """What a pipeline would run with for an input."""

    input: str
    pipeline: str
    parameters: tuple[ResolvedParameter, ...]

    def changed(self) -> Explained:
        """Leave out what the code alone says."""
        kept = tuple(each for each in self.parameters if each.is_changed)
        return Explained(self.input, self.pipeline, kept)

    def as_json(self) -> dict[str, object]:
        """Give it as what JSON knows."""
        said = [as_json(each) for each in self.parameters]
        return {"input": self.input, "pipeline": self.pipeline, "parameters": said}


def explain(campaign: Campaign, pattern: str) -> Iterator[Explained]:
    """Find the parameters of each pipeline of the inputs that a name or pattern is for.

    Raises
    ------
    UsageError
        It is for none of them.
    """
    names = [job.input.name for job in campaign.jobs]
    chosen = [job for job in campaign.jobs if fnmatchcase(job.input.name, Path(pattern).name)]
    if not chosen:
        raise UsageError(
            f"--explain {pattern}: is none of the inputs{nearest(Path(pattern).name, names)}"
        )
    makers = makers_of(campaign.jobs)
    for job in chosen:
        folder = campaign.output_dir or job.input.parent
        first = next(exposures_behind(job, makers, folder))
        yield from _of_job(campaign, job, first.input if isinstance(first, Job) else first)


def _of_job(campaign: Campaign, job: Job, exposure: Path) -> Iterator[Explained]:
    folder = campaign.output_dir or job.input.parent
    for name in job.pipelines:
        step_class = campaign.mission.find_pipeline(name)
        output_file = campaign.parameters[name].get("output_file")
        layers, inserts = job.beside(name)
        memory = layers_for_memory(job, step_class, folder, output_file)
        with campaign.planner(name, (*layers, *memory), inserts) as planner:
            _, parameters = planner.configured(*read_crds_parameters(step_class, str(exposure)))
        yield Explained(job.input.name, name, tuple(parameters))


def show(console: Console, explained: Iterable[Explained], *, history: bool) -> None:
    """Print a table for each pipeline, one for all inputs with the same parameters."""
    groups: dict[tuple[str, str], list[Explained]] = {}
    for each in explained:
        said = json.dumps([as_json(parameter) for parameter in each.parameters])
        groups.setdefault((each.pipeline, said), []).append(each)
    for (pipeline, _), group in groups.items():
        names = [each.input for each in group]
        more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
        console.print(f"{pipeline} of {', '.join(names[:SHOWN])}{more}", style="bold underline")
        console.print(parameter_table(group[0].parameters, history=history))
        console.print()
