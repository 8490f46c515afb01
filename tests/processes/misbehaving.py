"""Flows and functions that end in different ways, to be run in processes of their own."""

import ctypes
import logging
import os
import resource
import signal
import time
from pathlib import Path

from prefect import flow

from stpipe_prefect.exceptions import InputError
from stpipe_prefect.execution.events import PipelineProgress, report
from stpipe_prefect.outcomes import Outcome

FLOW = f"{__name__}:exposure"


def behave(given, send):
    """End in the way that is asked for."""
    send({"process": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]})
    end(given["how"])


def end(how):
    if how == "raise":
        raise InputError("cut short")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "allocate":
        limit = resource.getrlimit(resource.RLIMIT_AS)[1]
        used = 1024 * int(Path("/proc/self/statm").read_text().split()[0]) * 4
        resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000, limit))
        kept = []
        while True:
            kept.append(bytearray(50_000_000))
    if how.startswith("hold"):  # so many MB, for longer than SLURM takes to notice
        held = b"x" * (int(how.removeprefix("hold")) * 1_000_000)
        time.sleep(5)
        del held
    if how == "hang":  # in C, and without letting go of the interpreter: no signal handler runs
        ctypes.PyDLL(None).sleep(600)
    if how.startswith("sleep"):
        time.sleep(float(how.removeprefix("sleep")))


@flow(name="within", persist_result=False)
def within(file: str):
    """Say that it has begun by making a file, and take long, in a flow run of its own."""
    Path(file).touch()
    end("sleep600")


@flow(name="misbehaving", persist_result=False)
def exposure(name: str, how: str, log: str):
    """Begin a pipeline, write into a file that it did, and end as `how` says."""
    report(PipelineProgress("pipeline"))
    with Path(log).open("a") as file:
        file.write(f"{name} begins {time.time()}\n")
    for number in range(5):
        logging.getLogger("prefect.flow_runs").info("line %d of %s", number, name)
    (within if how.startswith("within ") else end)(how.removeprefix("within "))
    with Path(log).open("a") as file:
        file.write(f"{name} ends {time.time()}\n")
    report(PipelineProgress("pipeline", Outcome.COMPLETED, 0.1, (f"{name}.fits",)))
