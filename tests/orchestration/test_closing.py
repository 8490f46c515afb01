"""What is left open on the server when a process or a worker is gone."""

from datetime import timedelta

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.states import Crashed, Pending, Running

from flows.tidy import tidy
from stpipe_prefect.orchestration.closing import close_left_over


@flow
def night():
    """Stand for a flow whose process is gone."""


@task
def exposure():
    """Stand for one of its tasks."""


@pytest.fixture
def client(prefect_server):
    with get_client(sync_client=True) as made:
        yield made


@pytest.fixture
def lost(client):
    """A flow run, its task run, and the flow run in its place that never sent a heartbeat."""

    def make(n):
        outer = client.create_flow_run(night, state=Running())
        step = client.create_task_run(exposure, outer.id, dynamic_key=str(n), state=Running())
        inner = client.create_flow_run(night, parent_task_run_id=step.id, state=Pending())
        within = client.create_task_run(exposure, inner.id, dynamic_key="0", state=Running())
        return outer, step, inner, within

    return make


def crashed(client, outer, step, inner, within):
    """Say which of them have ended, each as Crashed."""
    flows = [client.read_flow_run(run.id) for run in (outer, inner)]
    tasks = [client.read_task_run(run.id) for run in (step, within)]
    runs = (flows[0], tasks[0], flows[1], tasks[1])
    assert {run.state_name for run in runs if run.state.is_final()} <= {"Crashed"}
    return [run.state.is_final() for run in runs]


def test_what_a_crashed_run_left_open_is_closed_and_what_runs_is_not(client, lost):
    gone, alive = lost(0), lost(1)
    client.set_flow_run_state(gone[0].id, Crashed(message="No heartbeat"), force=True)
    close_left_over(timedelta(hours=1))
    assert crashed(client, *gone) == [True, False, False, False]  # too soon
    message = tidy(minutes=0, return_state=True).message
    assert all(crashed(client, *gone))
    assert not any(crashed(client, *alive))
    assert message.endswith(" flow runs closed") and not message.startswith("0 ")
    assert client.read_flow_run(gone[2].id).state.message.endswith("is part of is over")
    client.set_flow_run_state(alive[0].id, Crashed(), force=True)
    close_left_over(timedelta(0))
    assert close_left_over(timedelta(0)) == (0, 0)
