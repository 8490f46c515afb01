"""The flow ``watch-context``: says when another CRDS context is the one to use."""

from __future__ import annotations

from functools import partial

from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed
from prefect.variables import Variable

from stpipe_prefect.orchestration.flows import LocalFlow
from stpipe_prefect.references.context import resolve_context

EVENT = "crds.context.changed"
"""Its resource is ``crds.context.<observatory>``."""


@partial(
    LocalFlow,
    name="watch-context",
    flow_run_name="watch-context · {observatory}",
    persist_result=False,
)
def watch_context(observatory: str = "jwst") -> State[str]:
    """Emit an event when the context that a run would use now is another than the last time.

    The first time there is nothing to compare with, and the context is only remembered, in a
    Prefect variable.

    Args:
        observatory: jwst or roman.
    """
    name = f"crds_context_{observatory}"
    before, now = Variable.get(name), resolve_context(observatory)
    if before not in (None, now):
        resource = {"prefect.resource.id": f"crds.context.{observatory}"}
        emit_event(EVENT, resource, payload={"before": before, "now": now})
    if before != now:
        Variable.set(name, now, overwrite=True)
    return Completed(message=now if before in (None, now) else f"{before} → {now}", data=now)
