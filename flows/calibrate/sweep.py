"""A sweep of the command: trials one after the other, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.trials.folders import Trial
from flows.trials.merit import judged, load_merit
from flows.trials.page import table, write_page
from flows.trials.sweep import combinations
from stpipe_prefect.exceptions import UsageError

if TYPE_CHECKING:
    from .associations import Associated
    from .command import Command
    from .specification import Specification


def sweep(command: Command, wanted: Specification, associated: Associated | None) -> set[int]:
    """Calibrate a trial for each value; gives the exit codes of what failed.

    Nothing runs before all trials have been checked. Each is a campaign of its own, so that it
    shares with those before it.
    """
    options = command.options
    alone = ("trial", "json", "save_parameters", "explain", "report", "html")
    for name in (name for name in alone if getattr(options, name)):
        raise UsageError(f"--{name.replace('_', '-')} does not go with --sweep: leave it out")
    if options.merit:
        load_merit(options.merit)
    trials = combinations(options.sweep)
    commands = {
        name: replace(command, texts={**command.texts, **texts}) for name, texts in trials.items()
    }
    wishes = {name: _trial(wanted, name) for name in trials}
    # Trials differ in parameters alone: the inputs are read once for all checks.
    first = next(iter(wishes.values()))
    with command.jobs(first, associated, is_real=False) as (jobs, *_):
        for name, each in commands.items():
            each.campaign(wishes[name], jobs, associated)
    codes: set[int] = set()
    for name, each in commands.items():
        command.console.print(f"trial {name}", style="bold")
        codes |= each.carry_out(wishes[name], associated)
    if not options.plan:
        _show(command, wanted, wishes)
    return codes


def _trial(wanted: Specification, name: str) -> Specification:
    trial = Trial(wanted.output_dir, name)
    return replace(wanted, output_dir=trial.folder, trial=trial)


def _show(command: Command, wanted: Specification, wishes: Mapping[str, Specification]) -> None:
    folders = {name: each.output_dir for name, each in wishes.items()}
    parameters = [text.partition("=")[0] for text in command.options.sweep]
    found = judged(wanted.output_dir, folders, command.options.merit, parameters)
    command.console.print(table(found, command.options.merit))
    page = wanted.output_dir / "trials" / f"{'_'.join(parameters)}.html"
    write_page(found, parameters, page)
    command.console.print(f"all figures: {page}")
