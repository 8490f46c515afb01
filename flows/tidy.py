"""The flow ``tidy``: closes what the server still takes for running of runs that are over."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated

from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from stpipe_prefect.orchestration.closing import close_left_over
from stpipe_prefect.orchestration.flows import LocalFlow


@partial(LocalFlow, name="tidy", flow_run_name="tidy", persist_result=False)
def tidy(minutes: Annotated[int, Field(ge=0)] = 15) -> State[None]:
    """Mark as Crashed the task runs and inner flow runs of flow runs that are over.

    When a worker is killed, nobody says that the task runs of its flow runs have ended, and a
    flow run within another that was lost before its first heartbeat stays Pending.

    Args:
        minutes: Leave alone what ended later than so long ago: its last task runs may still be on
            their way to the database.
    """
    closed = close_left_over(timedelta(minutes=minutes))
    return Completed(
        message=f"{closed.task_runs} task runs and {closed.flow_runs} flow runs closed"
    )
