"""Requests that a busy server refuses are made again soon."""

from __future__ import annotations

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

PAUSES = (0.05, 0.2, 0.8, 3.0, 10.0)


def patient_client() -> SyncPrefectClient:
    """Make a client for what an exposure waits for.

    A server on SQLite answers with 503 when another transaction has written between the reading
    and the writing of this one: that is over in milliseconds. Prefect's clients ask again after
    2, 4, 8 and 16 s.

    Returns
    -------
    prefect.client.orchestration.SyncPrefectClient
    """
    pauses = iter(PAUSES)

    def ask_again_soon(response: httpx.Response) -> None:
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            response.headers.setdefault("Retry-After", str(next(pauses, PAUSES[-1])))

    return get_client(
        sync_client=True, httpx_settings={"event_hooks": {"response": [ask_again_soon]}}
    )
