"""Many exposures: each in a process of its own, side by side, as one flow run.

Where they run is the business of the task runner of the flow around them: threads of this
machine, which wait for processes, or a Dask cluster. What is decided here is when: an exposure
is handed over when what it needs is there and it fits beside the others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.runtime import task_run
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ..exceptions import UsageError, reason
from ..execution import capacity
from ..execution.events import (
    ExposureProgress,
    PipelineProgress,
    StepProgress,
    from_message,
    report,
)
from ..execution.processes import preloaded, run_isolated, stop_children, use_warm_process
from ..execution.results import Ended, Result
from ..outcomes import Outcome
from ..warm.messages import Message
from .server import LOOPBACK, server_is_configured
from .subflow import FUNCTION, close_flow_run, subflow
from .workarounds import record_task_run

ELSEWHERE = 100
"""How many are handed at a time to a task runner that has its own idea of how many it takes."""

LAG = 30
"""How many exposures the server may be behind before no further one is begun."""

LAG_SECONDS = 120.0


@dataclass(frozen=True)
class Exposure:
    """One input, and the flow that calibrates it.

    The flow is ``"module:name"`` and reports a `PipelineProgress` for each of its pipelines; its
    parameters are what JSON can hold. Names differ; `needs` names those whose products it takes.
    """

    name: str
    flow: str
    parameters: Mapping[str, Any]
    needs: frozenset[str] = frozenset()
    memory_mb: float = capacity.AT_REST_MB


def calibrate_all(
    exposures: Iterable[Exposure],
    *,
    jobs: int | None = None,
    time_limit: float | None = None,
    decide: Callable[[str], Result | None] | None = None,
) -> Generator[Result]:
    """Calibrate exposures, each in a process of its own, within a flow.

    Of many, Prefect records less of each. One whose process was killed, or ran out of
    memory, beside others is tried once more by itself. If the block that takes the results is
    left, all that is under way is stopped.

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


def task_runner(address: str | None) -> TaskRunner[Any]:
    """Make the task runner for ``"dask://host:port"``, or for this machine.

    Any other of Prefect's goes with a flow by ``flow.with_options(task_runner=...)``.
    """
    if address is None:
        return ThreadPoolTaskRunner()
    where = urlsplit(address)
    if where.scheme != "dask" or not where.hostname:
        raise UsageError(f"--runner {address}: expected dask://HOST:PORT")
    if find_spec("prefect_dask") is None:
        raise UsageError(
            f"--runner {address}: prefect-dask is missing: pip install 'stpipe_prefect[dask]'"
        )
    if where.hostname not in LOOPBACK and not server_is_configured():
        raise UsageError(
            f"--runner {address}: Dask workers must reach the Prefect server: start one "
            "that they can, and set PREFECT_API_URL"
        )
    from prefect_dask.task_runners import DaskTaskRunner

    runner: TaskRunner[Any] = DaskTaskRunner(address=f"tcp://{where.netloc}")
    return runner


class _Batch:
    def __init__(
        self,
        exposures: list[Exposure],
        jobs: int | None,
        time_limit: float | None,
        decide: Callable[[str], Result | None] | None,
    ) -> None:
        self._decide = decide
        self._waiting = list(_in_order(exposures))
        self._time_limit = time_limit
        self._is_batch = len(exposures) > 1
        self._jobs, self._memory_mb = _room(jobs)
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
            if self._may_do_better(result, exposure):
                self._alone.append(replace(exposure, memory_mb=float("inf")))
            else:
                self._futures[exposure.name] = future
                self._results[exposure.name] = result
                yield result

    def _begin(self) -> Iterator[Result]:
        """Hand over what can be begun now; yield what never can."""
        for exposure in list(self._waiting):
            open_needs = exposure.needs - self._results.keys()
            failed = [name for name in exposure.needs - open_needs if self._results[name].failure]
            result = None
            if failed and self._decide is None:
                result = Result(exposure.name, _not_begun(sorted(failed)))
            elif open_needs or not self._fits(exposure):
                continue
            elif self._decide is not None:
                result = self._decide(exposure.name)
            self._waiting.remove(exposure)
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
        return len(self._running) < self._jobs and expected < self._memory_mb

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
            return_state=False,
            wait_for=[
                self._futures[name] for name in sorted(exposure.needs) if self._is_good(name)
            ],
        )
        self._running[future] = exposure
        future.add_done_callback(self._ended.put)

    def _may_do_better(self, result: Result, exposure: Exposure) -> bool:
        by_memory = result.outcome in (Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
        return by_memory and self._is_batch and exposure.memory_mb < float("inf")


@task(name="exposure", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def process_of_its_own(
    name: str,
    flow: str,
    parameters: Message,
    time_limit: float | None,
    in_batch: bool,
    preload: list[str],
) -> Any:
    """Run the flow of one exposure in a process of its own; show its run in place of this one."""
    use_warm_process(preload)  # where this is another machine; here it runs
    record_task_run()
    heard = _Heard(name)
    message = subflow(flow, parameters, parent=str(task_run.id), in_batch=in_batch)
    ended = run_isolated(FUNCTION, message, heard, time_limit=time_limit)
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
    if context is None or not isinstance(context.task_runner, ThreadPoolTaskRunner):
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
