"""Sweeps: a trial for each value of a parameter; of several parameters, for all combinations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from stpipe_prefect.exceptions import UsageError


def combinations(sweeps: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read ``"steps.jump.rejection_threshold=3,4"``: parameters as text, by the name of a trial.

    Raises
    ------
    UsageError
        A text is none of that kind, or two trials would have the same name.
    """
    values: dict[str, list[str]] = {}
    for text in sweeps:
        name, _, listed = text.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        found = [value.strip() for value in listed.split(",")]
        if not name or not all(found) or name in values:
            raise UsageError(f"--sweep {text}: expected PARAMETER=VALUE,VALUE,..., each one once")
        values[name] = found
    short = {name: name.rpartition(".")[2] for name in values}
    if len({*short.values()}) < len(short):
        short = {name: name.removeprefix("steps.") for name in values}
    trials: dict[str, dict[str, str]] = {}
    for chosen in product(*values.values()):
        texts = dict(zip(values, chosen, strict=True))
        trial = ",".join(f"{short[name]}={value}" for name, value in texts.items())
        trial = trial.replace("/", "_")
        if trial in trials:
            raise UsageError(f"--sweep: two trials would be called {trial}: give each value once")
        trials[trial] = texts
    return trials
