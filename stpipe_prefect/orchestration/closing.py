"""Runs whose process could not say how they ended: what the server has of them is closed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterId,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType, TaskRun
from prefect.states import Crashed, Failed

from ..exceptions import reason
from ..execution.results import Ended
from ..outcomes import Outcome

PAGE = 200
"""How many runs the server gives at a time."""

_OPEN = [each for each in StateType if each not in TERMINAL_STATES]
_OPEN_FLOWS = FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN))
_OPEN_TASKS = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_OPEN)))


def close_flow_run(flow_run: str, ended: Ended) -> None:
    """Have the server know how a flow run ended whose process could not say so itself.

    Those within it, and its task runs, have ended with it.
    """
    make = Crashed if ended.outcome is Outcome.CRASHED else Failed
    state: State[None] = make(name=ended.outcome, message=ended.error)
    try:
        with get_client(sync_client=True) as client:
            _close(client, client.read_flow_run(UUID(flow_run)), state)
    except Exception as error:  # the run is over all the same
        logging.getLogger("prefect.extra").warning(
            "Flow run %s could not be marked as %s: %s", flow_run, ended.outcome, reason(error)
        )


class Closed(NamedTuple):
    """How many runs were closed."""

    task_runs: int
    flow_runs: int


def close_left_over(age: timedelta) -> Closed:
    """Close what is still open of flow runs that ended so long ago.

    That are their task runs, of which nobody says that they ended when the process is killed; and
    flow runs within them that were lost before their first heartbeat, for which nothing waits.
    """
    before = datetime.now(UTC) - age
    state: State[None] = Crashed(message="the flow run that it is part of is over")
    ended = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[*TERMINAL_STATES])),
        end_time=FlowRunFilterEndTime.model_validate({"before_": before}),
    )
    with get_client(sync_client=True) as client:
        tasks = _close_tasks(client, ended, state)
        lost = _lost(client, {*tasks}, before)
        for run in lost:
            _close(client, run, state)
    return Closed(len(tasks), len(lost))


def _close(client: SyncPrefectClient, run: FlowRun, state: State[None]) -> None:
    within = FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]), state=_OPEN_FLOWS
    )
    for each in client.read_flow_runs(flow_run_filter=within):
        _close(client, each, state)
    _close_tasks(client, FlowRunFilter(id=FlowRunFilterId(any_=[run.id])), state)
    if not (run.state or state).is_final():
        client.set_flow_run_state(run.id, state, force=True)


def _close_tasks(
    client: SyncPrefectClient, flow_runs: FlowRunFilter, state: State[None]
) -> list[UUID]:
    """Close the task runs of some flow runs; gives those that were open."""
    closed: list[UUID] = []
    while True:
        found = client.read_task_runs(
            flow_run_filter=flow_runs, task_run_filter=_OPEN_TASKS, limit=PAGE
        )
        left = [run.id for run in found if run.id not in closed]
        for each in left:
            client.set_task_run_state(each, state, force=True)
        if not left:
            return closed
        closed += left


def _lost(client: SyncPrefectClient, closed: set[UUID], before: datetime) -> list[FlowRun]:
    """Find open flow runs whose parent, a task run, was closed or ended before."""
    within = FlowRunFilter(
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=False), state=_OPEN_FLOWS
    )
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_run_filter=within, limit=PAGE, offset=len(found)):
        found += page
    parents = _task_runs(
        client, {run.parent_task_run_id for run in found if run.parent_task_run_id}
    )
    over = closed | {run.id for run in parents if run.end_time and run.end_time < before}
    return [run for run in found if run.parent_task_run_id in over]


def _task_runs(client: SyncPrefectClient, ids: Iterable[UUID]) -> list[TaskRun]:
    wanted = list(ids)
    found: list[TaskRun] = []
    for start in range(0, len(wanted), PAGE):
        some = TaskRunFilter(id=TaskRunFilterId(any_=wanted[start : start + PAGE]))
        found += client.read_task_runs(task_run_filter=some, limit=PAGE)
    return found
