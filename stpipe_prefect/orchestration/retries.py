"""Requests that a busy server refuses are made again soon."""

from __future__ import annotations

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

PAUSES = (0.05, 0.2, 0.8)
"""Seconds until a request is made again, the first times."""


def patient_client() -> SyncPrefectClient:
    """Make a client for what an exposure waits for.

    A server on SQLite answers with 503 when another transaction has written between the reading
    and the writing of this one: that is over in milliseconds. Prefect's clients ask again after
    2 s and then ever later, as is right for a server that is not there; so does this one if it
    was refused three times.

    Returns
    -------
    prefect.client.orchestration.SyncPrefectClient
    """

    def ask_again_soon(response: httpx.Response) -> None:
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return
        refused = response.request.extensions.get("refused", 0)
        response.request.extensions["refused"] = refused + 1
        if refused < len(PAUSES):
            response.headers.setdefault("Retry-After", str(PAUSES[refused]))

    return get_client(
        sync_client=True, httpx_settings={"event_hooks": {"response": [ask_again_soon]}}
    )
