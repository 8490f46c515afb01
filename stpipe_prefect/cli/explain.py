"""Resolved parameters and their sources: ``python -m stpipe_prefect explain``.

No data are processed: the exposure is only asked what CRDS selects by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..parameters.layers import crds_parameters_disabled, without_crds_parameters
from ..parameters.origins import code_layers, crds_layers, file_layers
from ..parameters.resolution import Layer, ResolvedParameter, Source, resolve, shown
from ..parameters.text import CommandParser
from ..references.context import resolve_context
from ..references.needs import read_crds_parameters
from .exit import screen
from .run import Command, common_options, read_command

if TYPE_CHECKING:
    from rich.table import Table

COMMAND_LINE = Source("command line")
RUN = Source("run")


def explain_options() -> CommandParser:
    """Make the parser of what can be said for every step: what `run` takes, and how to show it."""
    parser = common_options("explain")
    parser.add_argument("--history", action="store_true", help="also show overridden values")
    parser.add_argument(
        "--changed", action="store_true", help="show only values that differ from the code"
    )
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
    parser.set_defaults(log_level="WARNING")
    return parser


def explain_step(argv: list[str]) -> None:
    """Print every parameter of a step as `run` would set it, with its source."""
    command = read_command(argv, explain_options())
    with command.logged(), without_crds_parameters(command.args.disable_crds_steppars):
        parameters = resolve_command(command)
    if command.args.changed:
        parameters = [parameter for parameter in parameters if parameter.is_changed]
    if command.args.json:
        print(json.dumps([as_json(parameter) for parameter in parameters], indent=1))
    else:
        screen().print(parameter_table(parameters, history=command.args.history))


def resolve_command(command: Command) -> list[ResolvedParameter]:
    """Find the values that a command leads to, each with its sources."""
    step_class = command.step_class
    step = command.make_step()
    layers = code_layers(step_class)
    if command.first_input and not crds_parameters_disabled():
        crds_parameters, observatory = read_crds_parameters(step_class, command.first_input)
        context = resolve_context(observatory)
        layers += crds_layers(step_class, crds_parameters, observatory, context)
    layers += file_layers(step_class, command.config_file, command.given)
    layers.append(Layer(COMMAND_LINE, command.given))
    if command.args.inputs:
        layers.append(Layer(RUN, {"save_results": True}))
    return resolve(step, layers)


def as_json(parameter: ResolvedParameter) -> dict[str, object]:
    """Give a parameter as what JSON knows."""
    return {
        "step": parameter.step,
        "parameter": parameter.name,
        "value": shown(parameter.value),
        "source": str(parameter.source),
        "history": [
            {"value": shown(setting.value), "source": str(setting.source)}
            for setting in parameter.settings[:-1]
        ],
    }


def parameter_table(parameters: Iterable[ResolvedParameter], *, history: bool) -> Table:
    """List parameters with their sources; with the `history`, values that were overridden, too."""
    from rich.table import Table

    table = Table("step", "parameter", "value", "source", box=None, pad_edge=False)
    for parameter in parameters:
        style = "bold" if parameter.is_changed else None
        row = parameter.row()
        table.add_row(row["step"], row["parameter"], row["value"], row["source"], style=style)
        if history:
            for setting in parameter.settings[-2::-1]:
                table.add_row("", "", str(shown(setting.value)), str(setting.source), style="dim")
    return table
