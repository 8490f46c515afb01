"""What the Prefect server does by itself about runs whose worker has vanished.

``python -m flows.automations`` creates the automations at the server in ``PREFECT_API_URL``, or
brings them up to date. That which starts `reprocess` comes with its deployment.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

SILENCE = 300.0
"""Seconds without a heartbeat. Runs send one every 30 s, but not while compiled code of a step
keeps Python from doing anything else."""


def crashed_runs(silence: float = SILENCE) -> list[AutomationCore]:
    """Describe the automations that mark runs as Crashed of which nothing is heard any more.

    Runs within others, and those that nobody's worker has started, are waited for from their
    first heartbeat on: not all send any. Those of deployments do, and are from the moment that
    a worker takes them: one that is lost before would keep the next from beginning.

    Parameters
    ----------
    silence : float
        Seconds; more than a run lets pass between two heartbeats.
    """
    heard = {"prefect.flow-run.heartbeat"}
    taken = {"prefect.flow-run.Pending", "prefect.flow-run.Running"}
    of_deployment = {"prefect.resource.role": "deployment"}
    return [
        _crashed("mark runs of vanished workers as Crashed", silence, heard, {}),
        _crashed("mark runs that never began as Crashed", silence, taken, of_deployment),
    ]


def _crashed(name: str, silence: float, after: set[str], related: dict[str, str]) -> AutomationCore:
    return AutomationCore(
        name=name,
        description="A run that neither ended nor sent a heartbeat has lost its process.",
        trigger=EventTrigger(
            after=after,
            expect={"prefect.flow-run.*"},  # a heartbeat, or any state a run may come into
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=ResourceSpecification.model_validate(related),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                message=f"No heartbeat for {silence:g} s: its process or worker is gone. "
                "The next run completes the rest.",
                force=False,
            )
        ],
    )


def create(automation: AutomationCore) -> None:
    """Create an automation at the configured server, or bring that of its name up to date.

    One that is as it should be is left alone: with a new trigger the server would forget which
    runs it is waiting to hear of, and those that vanished before would be running forever.
    """
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(automation.name)
        if not known:
            client.create_automation(automation)
        elif _described(known[0]) != _described(automation):
            client.update_automation(known[0].id, automation)


def _described(automation: AutomationCore) -> dict[str, Any]:
    """Leave out whether somebody has switched it off."""
    return automation.model_dump(mode="json", include={"description", "trigger", "actions"})


if __name__ == "__main__":
    for automation in crashed_runs(*map(float, sys.argv[1:])):
        create(automation)
