"""What can become of a step or a run: one vocabulary for states, records, tables, exit codes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum

NO_SCIENCE_STATUS = 64
"""What jwst's own commands return for an exposure that holds nothing to calibrate."""


class Outcome(StrEnum):
    """What became of a step, or of a whole run.

    ``Crashed`` and ``TimedOut`` are names Prefect gives by itself to runs that were ended from
    outside and to runs past their time limit.
    """

    COMPLETED = "Completed"
    """It ran to its end."""
    DEGRADED = "Degraded"
    """It ran to its end, but a step could not do its work and recorded that in the data."""
    SKIPPED = "Skipped"
    """It left the data alone, by parameter or by its own judgement."""
    CACHED = "Cached"
    """It did not run: what it would make is there already."""
    NO_SCIENCE = "NoScience"
    """The exposure holds nothing to calibrate."""
    FAILED = "Failed"
    """An error stopped it."""
    CRASHED = "Crashed"
    """It was ended from outside, or its process died."""
    TIMED_OUT = "TimedOut"
    """It took longer than it may."""
    OUT_OF_MEMORY = "OutOfMemory"
    """It needed more memory than there was."""

    @property
    def is_good(self) -> bool:
        """Whether the result is there."""
        return self in (Outcome.COMPLETED, Outcome.DEGRADED, Outcome.SKIPPED, Outcome.CACHED)

    @property
    def exit_code(self) -> int:
        """What a command returns to the shell for it."""
        if self.is_good:
            return 0
        return NO_SCIENCE_STATUS if self is Outcome.NO_SCIENCE else 1


def whole_outcome(outcomes: Collection[Outcome | None]) -> Outcome:
    """Say what became of a whole whose parts are all good: ``Cached`` if nothing had to run."""
    if Outcome.DEGRADED in outcomes:
        return Outcome.DEGRADED
    return Outcome.CACHED if {*outcomes} == {Outcome.CACHED} else Outcome.COMPLETED


def outcome_of(error: BaseException) -> Outcome:
    """Say what became of what this error stopped."""
    if getattr(error, "exit_status", getattr(error, "exit_code", None)) == NO_SCIENCE_STATUS:
        return Outcome.NO_SCIENCE
    if isinstance(error, TimeoutError):
        return Outcome.TIMED_OUT
    if any(isinstance(each, MemoryError) for each in _with_causes(error)):
        return Outcome.OUT_OF_MEMORY
    return Outcome.FAILED if isinstance(error, Exception) else Outcome.CRASHED


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Go through an error and those it came from: without memory not even threads can start."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def exit_code_of(error: BaseException) -> int:
    """Say what a command returns to the shell for this error; jwst's own exits keep theirs.

    Never 0: what an error stopped has not made its products, whatever status it names.
    """
    by_outcome = outcome_of(error).exit_code
    return int(getattr(error, "exit_status", getattr(error, "exit_code", 0))) or by_outcome
