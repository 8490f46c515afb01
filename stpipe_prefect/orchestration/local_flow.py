"""Flows that Python calls directly, as from a notebook."""

from __future__ import annotations

from typing import Any, Self, cast

from prefect import Flow

from .server import prefect_api


class LocalFlow(Flow[..., Any]):
    """A flow that finds its Prefect server by itself when it is called.

    It is the configured one, or else an embedded one that lasts as long as the process.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow, as Prefect's own flows are run."""
        with prefect_api():
            return super().__call__(*args, **kwargs)

    def with_options(self, **options: Any) -> Self:
        """Make the same flow with other options; Prefect would make a plain one of it."""
        changed = super().with_options(**options)
        changed.__class__ = type(self)
        if "__signature__" in vars(self):  # of the form in Prefect's UI
            vars(changed)["__signature__"] = vars(self)["__signature__"]
        return cast("Self", changed)
