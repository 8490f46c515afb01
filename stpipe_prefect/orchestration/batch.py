"""Many exposures: each in a process of its own, side by side, as one flow run.

Where they run is the business of the task runner of the flow around them, see `.runners`. What
is decided here is when: an exposure is handed over when what it needs is there and it fits beside
the others; and which is tried once more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.runtime import task_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from ..exceptions import UsageError, reason
from ..execution import capacity
from ..execution.events import (
    ExposureProgress,
    PipelineProgress,
    StepProgress,
    from_message,
    report,
)
from ..execution.job_size import Size
from ..execution.processes import preloaded, run_isolated, stop_children, use_warm_process
from ..execution.results import Ended, Result
from ..outcomes import Outcome
from ..warm.messages import Message
from .closing import close_flow_run
from .runners import SlurmTaskRunner, slurm_of_flow
from .subflow import FUNCTION, subflow
from .workarounds import record_task_run

ELSEWHERE = 100
"""How many are handed at a time to what has its own idea of how many it takes: Dask, SLURM."""

LAG = 30
"""How many exposures the server may be behind before no further one is begun."""

LAG_SECONDS = 120.0


@dataclass(frozen=True)
class Exposure:
    """One input, and the flow that calibrates it.

    The flow is ``"module:name"`` and reports a `PipelineProgress` for each of its pipelines; its
    parameters are what JSON can hold. Names differ; `needs` names those whose products it takes.
    `memory_mb` and `seconds` are what it is expected to take, `seconds` None if nobody can say.
    """

    name: str
    flow: str
    parameters: Mapping[str, Any]
    needs: frozenset[str] = frozenset()
    memory_mb: float = capacity.AT_REST_MB
    seconds: float | None = None


def calibrate_all(
    exposures: Iterable[Exposure],
    *,
    jobs: int | None = None,
    time_limit: float | None = None,
    decide: Callable[[str], Result | None] | None = None,
) -> Generator[Result]:
    """Calibrate exposures, each in a process of its own, within a flow.

    Of many, Prefect records less of each. One whose process was killed, or ran out of
    memory, beside others is tried once more by itself; a job of SLURM that has reached its limit
    of memory or time once more with twice as much. If the block that takes the results is left,
    all that is under way is stopped.

    Parameters
    ----------
    exposures : iterable of Exposure
    jobs : int, optional
        How many at a time; by default one for each core, as far as memory allows.
    time_limit : float, optional
        Seconds that each may take.
    decide : callable, optional
        Given the name of an exposure whose needs have ended, and whose turn it is, says what
        became of it if it is not to begin. By default none begins of which a need failed.

    Yields
    ------
    Result
        As they end.

    Raises
    ------
    UsageError
        `jobs` or `time_limit` is not above zero; nothing was run.
    """
    for name, value in (("jobs", jobs), ("time_limit", time_limit)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} = {value}: expected a number above 0, or none")
    batch = _Batch(list(exposures), jobs, time_limit, decide)
    try:
        yield from batch.results()
    finally:
        stop_children()
        batch.cancel_jobs()


class _Batch:
    def __init__(
        self,
        exposures: list[Exposure],
        jobs: int | None,
        time_limit: float | None,
        decide: Callable[[str], Result | None] | None,
    ) -> None:
        self._decide = decide
        self._waiting = {each.name: each for each in _in_order(exposures)}
        self._time_limit = time_limit
        self._is_batch = len(exposures) > 1
        self._jobs, self._memory_mb = _room(jobs)
        self._slurm = slurm_of_flow()
        self._sizes: dict[str, Size] = {}
        self._tried_twice: set[str] = set()
        self._alone: deque[Exposure] = deque()
        self._running: dict[PrefectFuture[Any], Exposure] = {}
        self._ended: SimpleQueue[PrefectFuture[Any]] = SimpleQueue()
        self._futures: dict[str, PrefectFuture[Any]] = {}
        self._results: dict[str, Result] = {}
        self._to_be_recorded: deque[PrefectFuture[Any]] = deque()
        self._scale = 0.0

    def results(self) -> Iterator[Result]:
        while self._waiting or self._running or self._alone:
            yield from self._begin()
            if not self._running:
                continue
            future = self._ended.get()
            exposure = self._running.pop(future)
            result = _result_of(future, exposure)
            self._to_be_recorded.append(future)
            peak = result.ended.peak_memory_mb
            self._scale = max(self._scale, peak / exposure.memory_mb)
            if self._is_tried_again(result, exposure):
                continue
            self._futures[exposure.name] = future
            self._results[exposure.name] = result
            yield result

    def cancel_jobs(self) -> None:
        """Cancel what SLURM has of it that has not ended."""
        if self._slurm is not None and self._running:
            self._slurm.jobs.stop()

    def _begin(self) -> Iterator[Result]:
        """Hand over what can be begun now; yield what never can."""
        for exposure in list(self._waiting.values()):
            if len(self._running) >= self._jobs:  # of thousands, none needs to be looked at
                break
            open_needs = exposure.needs.difference(self._results)
            failed = [name for name in exposure.needs - open_needs if self._results[name].failure]
            result = None
            if failed and self._decide is None:
                result = Result(exposure.name, _not_begun(sorted(failed)))
            elif open_needs or not self._fits(exposure):
                continue
            elif self._decide is not None:
                result = self._decide(exposure.name)
            del self._waiting[exposure.name]
            if result is None:
                self._hand_over(exposure)
            else:
                self._results[exposure.name] = result
                yield result
        if self._alone and not self._running:
            self._hand_over(self._alone.popleft())

    def _is_good(self, name: str) -> bool:
        return name in self._futures and not self._results[name].failure

    def _fits(self, exposure: Exposure) -> bool:
        if not self._running:
            return True
        scale = self._scale or 1.0
        expected = scale * sum(each.memory_mb for each in (exposure, *self._running.values()))
        return expected < self._memory_mb

    def _hand_over(self, exposure: Exposure) -> None:
        if len(self._to_be_recorded) > LAG:
            _wait_until_recorded(self._to_be_recorded.popleft())
        future = process_of_its_own.submit(
            exposure.name,
            exposure.flow,
            dict(exposure.parameters),
            self._time_limit,
            self._is_batch,
            preloaded(),
            self._size(exposure),
            return_state=False,
            wait_for=[
                self._futures[name] for name in sorted(exposure.needs) if self._is_good(name)
            ],
        )
        self._running[future] = exposure
        future.add_done_callback(self._ended.put)

    def _size(self, exposure: Exposure) -> Size | None:
        """Give the size of its job, where it is to be one."""
        if self._slurm is None:
            return None
        expected = self._slurm.slurm.size(exposure.memory_mb, exposure.seconds)
        return self._sizes.setdefault(exposure.name, expected)

    def _is_tried_again(self, result: Result, exposure: Exposure) -> bool:
        """Begin it once more, or have it begin later, if that may help; tells whether it may."""
        if exposure.name in self._tried_twice:
            return False
        if self._slurm is not None:
            larger = self._slurm.slurm.larger(self._sizes[exposure.name], result.outcome)
            is_late = self._time_limit is not None and result.ended.seconds >= self._time_limit
            if larger is None or is_late:
                return False
            self._sizes[exposure.name] = larger
            self._hand_over(exposure)
        elif self._is_batch and result.outcome in (Outcome.CRASHED, Outcome.OUT_OF_MEMORY):
            self._alone.append(replace(exposure, memory_mb=float("inf")))
        else:
            return False
        self._tried_twice.add(exposure.name)
        return True


@task(name="exposure", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def process_of_its_own(
    name: str,
    flow: str,
    parameters: Message,
    time_limit: float | None,
    in_batch: bool,
    preload: list[str],
    size: Size | None = None,
) -> Any:
    """Run the flow of one exposure in a process of its own; show its run in place of this one.

    It is a job of SLURM where that has a size.
    """
    if size is None:
        use_warm_process(preload)  # where this is another machine; here it runs
    record_task_run()
    heard = _Heard(name)
    message = subflow(flow, parameters, parent=str(task_run.id), in_batch=in_batch)
    slurm = slurm_of_flow()
    if size is None or slurm is None:
        ended = run_isolated(FUNCTION, message, heard, time_limit=time_limit)
    else:
        ended = slurm.jobs.run(
            *(FUNCTION, message, heard),
            name=name,
            size=size,
            preload=preload,
            time_limit=time_limit,
        )
    if heard.flow_run and ended.outcome is not Outcome.COMPLETED:
        close_flow_run(heard.flow_run, ended)
    result = Result(name, ended, tuple(heard.done), heard.pipeline, heard.step)
    make = Completed if result.outcome.is_good else Failed
    why = result.failure or "; ".join(result.degraded) or None
    return make(name=result.outcome, message=why, data=result)


class _Heard:
    """What a process has said so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.flow_run = ""
        self.done: list[PipelineProgress] = []
        self.pipeline = self.step = ""

    def __call__(self, message: Message) -> None:
        if "flow_run" in message:
            if self.flow_run:  # SLURM has begun it again, on another node
                close_flow_run(self.flow_run, Ended(Outcome.CRASHED, "its node failed"))
                self.done.clear()
            self.flow_run = message["flow_run"]
            return
        event = from_message(message)
        if isinstance(event, PipelineProgress):
            self.pipeline = "" if event.outcome else event.pipeline
            if event.outcome:
                self.done.append(event)
        elif isinstance(event, StepProgress):
            is_over = event.outcome is not None and event.outcome.is_good
            self.step = "" if is_over else event.step
        report(ExposureProgress(self._name, event))


def _in_order(exposures: Iterable[Exposure]) -> Iterator[Exposure]:
    """Leave out needs that none of the earlier exposures sees to."""
    earlier: set[str] = set()
    for exposure in exposures:
        yield replace(exposure, needs=exposure.needs & earlier)
        earlier.add(exposure.name)


def _room(jobs: int | None) -> tuple[int, float]:
    """Say how many are handed over at a time, and what memory they may take together, in MB."""
    context = FlowRunContext.get()
    runner = context.task_runner if context else None
    if isinstance(runner, SlurmTaskRunner) or not isinstance(runner, ThreadPoolTaskRunner):
        return jobs or ELSEWHERE, float("inf")
    if jobs is not None:
        return jobs, float("inf")
    return capacity.cores(), capacity.free_memory_mb()


def _result_of(future: PrefectFuture[Any], exposure: Exposure) -> Result:
    result: Any
    try:
        result = future.result(raise_on_failure=False)
    except Exception as error:  # the task runner has lost it
        result = error
    if isinstance(result, Result):
        return result
    error_text = f"{type(result).__name__}: {reason(result)}"
    return Result(exposure.name, Ended(Outcome.CRASHED, error_text, Outcome.CRASHED.exit_code))


def _not_begun(failed: list[str]) -> Ended:
    others = f" and {len(failed) - 1} more" if failed[1:] else ""
    error = f"not started: it needs products of {failed[0]}{others}, which failed"
    return Ended(Outcome.FAILED, error, Outcome.FAILED.exit_code)


def _wait_until_recorded(future: PrefectFuture[Any]) -> None:
    """Let the server catch up: what it has not recorded yet piles up in its memory."""
    deadline = time.monotonic() + LAG_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            with suppress(ObjectNotFound):
                state = client.read_task_run(future.task_run_id).state
                if state is not None and state.is_final():
                    return
            time.sleep(0.5)
