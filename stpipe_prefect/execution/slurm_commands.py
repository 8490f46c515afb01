"""The commands of SLURM."""

from __future__ import annotations

import os
import shutil
import subprocess

from ..exceptions import StpipePrefectError, reason

SECONDS = 300.0
"""That a command of SLURM may take."""


class SlurmError(StpipePrefectError):
    """A command of SLURM that failed, or that is not there."""


def ask_slurm(program: str, *arguments: str) -> str:
    """Run a command of SLURM; gives what it prints.

    Raises
    ------
    SlurmError
        It failed; the text is what it says.
    """
    if shutil.which(program) is None:
        raise SlurmError(f"{program} was not found: run this where SLURM's commands are installed")
    # Variables of a person's own squeue would change what it lists.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SINFO_"))}
    command = [program, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{program}: {reason(error)}") from error
    if done.returncode != 0:
        raise SlurmError(" ".join(done.stderr.split()) or f"{program}: status {done.returncode}")
    return done.stdout
