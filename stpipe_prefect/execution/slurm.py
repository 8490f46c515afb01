"""Exposures as jobs of SLURM: each of its own size, followed by way of a shared folder.

::

    .unfinished-slurm-<random>/   beside the products, as long as the command runs
        <number>/                 of each job
            work.json             what it is to do
            job.sh, output        what SLURM starts, and what that prints
            lock                  held while it runs: what SLURM starts twice is done once
            messages              what it has said so far, a line each
            ended.json            how it ended; whole or absent

What has become of a job is read from its folder, so that it does not matter whether the controller
answers. SLURM is asked, once for all jobs, about those that have left nothing there.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from uuid import uuid4

from ..outcomes import Outcome
from ..products.unfinished import unfinished_folder
from ..warm.messages import Message
from .job_size import Size
from .processes import Tell, is_interrupted
from .results import Ended
from .slurm_commands import SlurmError, ask_slurm

MODULE = f"{__package__}.slurm_job"

WORK, SCRIPT, OUTPUT = "work.json", "job.sh", "output"
LOCK, MESSAGES, ENDED = "lock", "messages", "ended.json"

POLL = 1.0
"""Seconds between looks into the folder of a job."""

ASKED = 10.0
"""Seconds between questions to SLURM."""

LATE = 90.0
"""Seconds that a file of another machine may take to be seen here."""

ATTEMPTS = 3

_OVER = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
)

_NEVER_BEGINS = frozenset(
    ["BadConstraints", "JobHoldMaxRequeue", "PartitionTimeLimit", "launch failed requeued held"]
)
"""Reasons for which a job waits until a person changes it."""

_OF_MEMORY = ("exceeded memory limit", "oom_kill", "oom-kill", "Out Of Memory")
_OF_TIME = ("DUE TO TIME LIMIT",)
"""What SLURM writes into the output of a job that it ends: some set-ups say so nowhere else."""


@dataclass(frozen=True)
class _State:
    """What SLURM says of a job."""

    number: str
    name: str
    reason: str

    @property
    def is_over(self) -> bool:
        return self.name in _OVER


@dataclass
class _Job:
    """A job under way: its folder, its size, and how much of its messages was read."""

    folder: Path
    size: Size
    title: str
    read: int = 0
    attempts: int = 0
    missing_since: float | None = field(default=None, repr=False)

    @property
    def output(self) -> str:
        with suppress(OSError):
            return (self.folder / OUTPUT).read_text(errors="replace")
        return ""


@contextmanager
def slurm_jobs(partition: str, parent: Path) -> Iterator[Jobs]:
    """Hand over jobs within the block, at whose end those that are left are cancelled.

    Their folders are below `parent`, which all machines see under this name.
    """
    parent.mkdir(parents=True, exist_ok=True)
    name = f"slurm-{uuid4().hex[:8]}"
    instead = "choose another --output-dir"
    with unfinished_folder(parent.absolute(), name, "a batch of jobs", instead) as folder:
        jobs = Jobs(partition, folder, name)
        try:
            yield jobs
        finally:
            jobs.stop()


class Jobs:
    """The jobs of a command.

    Parameters
    ----------
    partition : str
    folder : pathlib.Path
        For what is exchanged with them.
    name : str
        Of the run, by which its folder is locked.
    """

    def __init__(self, partition: str, folder: Path, name: str) -> None:
        self._partition = partition
        self._folder = folder
        self._name = name
        self._numbers = count(1)
        self._open: set[str] = set()
        self._stopped = threading.Event()
        self._asking = threading.Lock()
        self._submitting = threading.Lock()
        self._asked = -math.inf
        self._answers = False
        self._states: dict[str, _State] = {}

    def run(
        self,
        function: str,
        argument: Message,
        listener: Tell,
        *,
        name: str,
        size: Size,
        preload: list[str],
        time_limit: float | None = None,
    ) -> Ended:
        """Run a function as a job, and wait until that has ended; see `run_isolated`."""
        work = {
            "function": function,
            "argument": argument,
            "preload": preload,
            "time_limit": time_limit,
            "path": sys.path,
            "command": self._name,
        }
        job = self._prepared(work, name, size)
        try:
            return self._followed(job, listener)
        except SlurmError as error:
            text = f"SLURM refuses the job: {error}"
            return Ended(Outcome.FAILED, text, Outcome.FAILED.exit_code)

    def stop(self) -> None:
        """Cancel the jobs that have not ended."""
        self._stopped.set()
        if not self._open:
            return
        with suppress(SlurmError):  # they end by themselves when they see that nobody waits
            states = self._look(at_once=True)
            left = [states[job].number for job in self._open & states.keys()]
            if left:
                ask_slurm("scancel", *left)

    def _followed(self, job: _Job, listener: Tell) -> Ended:
        started = time.monotonic()
        self._submit(job)
        ended = None
        while not self._is_stopped:
            _listen(job, listener)
            ended = ended or _ended(job)
            if ended is None or ended.outcome is Outcome.CRASHED:
                ended = self._by_slurm(job, ended, time.monotonic() - started)
            if ended is not None:
                _listen(job, listener)
                self._open.discard(job.title)
                return ended
            self._stopped.wait(POLL)
        return Ended(Outcome.CRASHED, "interrupted", 130)

    @property
    def _is_stopped(self) -> bool:
        return self._stopped.is_set() or is_interrupted()

    def _prepared(self, work: Message, name: str, size: Size) -> _Job:
        number = next(self._numbers)
        folder = self._folder / str(number)
        folder.mkdir()
        (folder / WORK).write_text(json.dumps(work))
        command = [sys.executable, "-m", MODULE, str(folder)]
        (folder / SCRIPT).write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        # A person reads the first part, `_look` the second.
        return _Job(folder, size, f"{' '.join(name.split())}#{self._name}.{number}")

    def _submit(self, job: _Job) -> None:
        """Hand over a job, once: a controller that restarts may have taken what it says nothing of.

        Raises
        ------
        SlurmError
            It is refused.
        """
        self._open.add(job.title)
        job.attempts += 1
        command = (
            "--parsable",
            f"--job-name={job.title}",
            f"--partition={self._partition}",
            f"--mem={math.ceil(job.size.memory_mb * 1e6 / 2**20)}M",
            f"--time={math.ceil(job.size.seconds / 60)}",
            *("--nodes=1", "--ntasks=1", "--cpus-per-task=1"),
            *("--requeue", "--open-mode=append", "--export=ALL"),
            f"--chdir={Path.cwd()}",
            f"--output={_literal(job.folder / OUTPUT)}",
            str(job.folder / SCRIPT),
        )
        for attempt in range(ATTEMPTS):
            try:
                with self._submitting:  # a hundred at once would be a burden to the controller
                    ask_slurm("sbatch", *command)
                return
            except SlurmError as error:
                problem = error
            while not self._is_stopped:
                with suppress(SlurmError):
                    if job.title in self._look(at_once=True):
                        return
                    break
                self._stopped.wait(POLL)
            self._stopped.wait(POLL * attempt)
            if self._is_stopped:
                return
        self._open.discard(job.title)
        raise problem

    def _by_slurm(self, job: _Job, ended: Ended | None, seconds: float) -> Ended | None:
        """Say how a job ended that could not say so itself; None as long as it may go on."""
        with suppress(SlurmError):
            self._look()
        state = self._states.get(job.title)
        now = time.monotonic()
        if not self._answers or (state and not state.is_over):
            job.missing_since = None
            if state and state.name == "PENDING" and state.reason in _NEVER_BEGINS:
                with suppress(SlurmError):
                    ask_slurm("scancel", state.number)
                text = f"SLURM does not start job {state.number}: {state.reason}"
                return Ended(Outcome.FAILED, text, Outcome.FAILED.exit_code)
            return None
        job.missing_since = job.missing_since or now
        if limit := _limit(job, state):
            return _beyond(job, limit, seconds)
        if now - job.missing_since < LATE and not (ended and state):
            return None
        if ended is None and state is None and job.attempts < ATTEMPTS:
            # A controller that was killed has forgotten the last seconds before. Should the job
            # be there all the same, it holds its lock.
            job.missing_since = None
            self._submit(job)
            return None
        return ended or _lost(job, state, seconds)

    def _look(self, *, at_once: bool = False) -> dict[str, _State]:
        """Ask SLURM about all jobs, unless it has been asked just now.

        Raises
        ------
        SlurmError
            It does not answer.
        """
        with self._asking:
            if not at_once and time.monotonic() - self._asked < ASKED:
                return self._states
            self._answers = False
            try:
                answer = ask_slurm(
                    *("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%j")
                )
            finally:
                self._asked = time.monotonic()
            lines = [line.split("|", 3) for line in answer.splitlines()]
            self._states = {
                name: _State(number, state, why)
                for number, state, why, name in (line for line in lines if len(line) == 4)
                if f"#{self._name}." in name
            }
            self._answers = True
            return self._states


def _literal(path: Path) -> str:
    """Have SLURM take a path as it is: % begins a pattern."""
    return str(path).replace("%", "%%")


def _listen(job: _Job, listener: Tell) -> None:
    """Pass on what a job has said since."""
    try:
        with (job.folder / MESSAGES).open("rb") as file:
            file.seek(job.read)
            lines, newline, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return
    job.read += len(lines) + len(newline)
    for line in lines.splitlines():
        with suppress(ValueError):  # of a node that failed in the middle of it
            listener(json.loads(line))


def _ended(job: _Job) -> Ended | None:
    try:
        said = json.loads((job.folder / ENDED).read_text())
    except FileNotFoundError:
        return None
    return Ended(**{**said, "outcome": Outcome(said["outcome"])})


def _limit(job: _Job, state: _State | None) -> Outcome | None:
    """Say which of its limits SLURM has ended a job for."""
    output = job.output
    if (state and state.name == "OUT_OF_MEMORY") or any(text in output for text in _OF_MEMORY):
        return Outcome.OUT_OF_MEMORY
    if (state and state.name == "TIMEOUT") or any(text in output for text in _OF_TIME):
        return Outcome.TIMED_OUT
    return None


def _beyond(job: _Job, outcome: Outcome, seconds: float) -> Ended:
    has = {
        Outcome.OUT_OF_MEMORY: f"needed more than the {job.size.memory_mb:.0f} MB of its job",
        Outcome.TIMED_OUT: f"took longer than the {job.size.seconds / 60:.0f} min of its job",
    }
    return Ended(outcome, has[outcome], outcome.exit_code, seconds)


def _lost(job: _Job, state: _State | None, seconds: float) -> Ended:
    what = f"job {state.number} ended as {state.name}" if state else "SLURM has lost its job"
    if not (job.folder / OUTPUT).exists():
        text = f"{what} without any output: do all nodes have {job.folder}?"
    else:
        last = next((line for line in reversed(job.output.splitlines()) if line.strip()), "")
        text = ": ".join(filter(None, [f"{what} without a result", last]))
    return Ended(Outcome.CRASHED, text, Outcome.CRASHED.exit_code, seconds)


def write_ended(folder: Path, ended: Ended) -> None:
    """Say in the folder of a job how that has ended."""
    unfinished = folder / f"{ENDED}.unfinished"
    unfinished.write_text(json.dumps(asdict(ended)))
    unfinished.rename(folder / ENDED)
