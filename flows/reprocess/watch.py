"""The flow ``watch-context``: says when another CRDS context is the one to use."""

from __future__ import annotations

from functools import partial

from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed
from prefect.variables import Variable

from stpipe_prefect.orchestration.deployments import check_deployable
from stpipe_prefect.orchestration.flows import LocalFlow
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.references.selection import refuse_bad_context

from .contexts import context_to_follow

EVENT = "crds.context.changed"
"""Its resource is ``crds.context.<observatory>``."""


@partial(
    LocalFlow,
    name="watch-context",
    flow_run_name="watch-context · {observatory}",
    persist_result=False,
)
def watch_context(observatory: str = "jwst", crds_context: str | None = None) -> State[str]:
    """Emit an event when reprocessing would use another context than the last time.

    The first time there is nothing to compare with, and the context is only remembered, in a
    Prefect variable. A context with rules that CRDS marks as bad, or that cannot be read, fails
    the run, emits no event and is not remembered.

    Args:
        observatory: jwst or roman.
        crds_context: What to follow: latest, the newest operational context; build, that of the
            installed software; or the name of a context. Default CRDS_CONTEXT, or else latest.
    """
    check_deployable("watch-context", [], {"crds_context": crds_context})
    name = f"crds_context_{observatory}"
    wanted = context_to_follow(observatory, crds_context)
    before = Variable.get(name)
    with pinned_context(observatory, wanted) as now:
        refuse_bad_context(observatory, now)
    if before not in (None, now):
        resource = {"prefect.resource.id": f"crds.context.{observatory}"}
        emit_event(EVENT, resource, payload={"before": before, "now": now})
    if before != now:
        Variable.set(name, now, overwrite=True)
    return Completed(message=now if before in (None, now) else f"{before} → {now}", data=now)
