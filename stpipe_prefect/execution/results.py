"""What became of an exposure, and how the process ended that it had to itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..outcomes import Outcome, whole_outcome
from .events import PipelineProgress


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what a command should return for it.

    `error` is one line, empty if nothing was wrong; `is_explained` if it says all there is to
    say; `traceback` where it went wrong, if Python could tell.
    """

    outcome: Outcome
    error: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    traceback: str = ""
    is_explained: bool = False


@dataclass(frozen=True)
class Result:
    """What became of an exposure.

    `pipelines` are those that came to their end; `pipeline` and `step` say where it was stopped.
    """

    name: str
    ended: Ended = field(repr=False)  # Prefect logs what a task returns if it failed
    pipelines: tuple[PipelineProgress, ...] = field(default=(), repr=False)
    pipeline: str = ""
    step: str = ""

    @property
    def outcome(self) -> Outcome:
        """What became of it as a whole; see `stpipe_prefect.outcomes.whole_outcome`."""
        outcomes = {each.outcome for each in self.pipelines}
        if self.ended.outcome is Outcome.COMPLETED and outcomes:
            return whole_outcome(outcomes)
        return self.ended.outcome

    @property
    def products(self) -> list[str]:
        """File names of all it made."""
        return [product for each in self.pipelines for product in each.products]

    @property
    def degraded(self) -> list[str]:
        """Say of each step that could not do its work which it was, and why."""
        return self._lines("degraded")

    @property
    def caveats(self) -> list[str]:
        """Say what else a reader of the products should know."""
        return self._lines("caveats")

    def _lines(self, kind: str) -> list[str]:
        return [
            f"{self.name}: {each.pipeline}, {line}"
            for each in self.pipelines
            for line in getattr(each, kind)
        ]

    @property
    def failure(self) -> str:
        """What stopped it, in one line; empty if nothing did."""
        error = self.ended.error
        if not error or (self.ended.is_explained and self.name in error):
            return error
        place = "" if self.ended.is_explained else self.place
        return ": ".join(part for part in (self.name, place, error) if part)

    @property
    def place(self) -> str:
        """The pipeline and step it was in."""
        return ", ".join(name for name in (self.pipeline, self.step) if name)
