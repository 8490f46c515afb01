"""Requests that a busy server refuses are made again soon, those that a lost one misses later."""

from __future__ import annotations

from typing import Any

import httpx
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient
from prefect.client.orchestration import SyncPrefectClient, get_client

PAUSES = (0.05, 0.2, 0.8)
"""Seconds until a request is made again, the first times."""

_answered: set[str] = set()


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


def ask_again_if_lost(api_url: str) -> None:
    """Have all of Prefect's clients ask again, for a minute, where nobody listens any more.

    A server that is killed is started again, in the same place. Prefect's clients wait for that
    only if they have got through before, each for itself, and an exposure makes several.

    Parameters
    ----------
    api_url : str
        Of a server that has answered.
    """
    _answered.add(api_url.rstrip("/"))
    for kind in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        kind._has_connected = _HAS_CONNECTED  # type: ignore[assignment]


def _has_connected(client: Any) -> bool:
    """Tell whether a client has got through, or another one has to the same server."""
    return vars(client).get("_got_through", False) or str(client.base_url).rstrip("/") in _answered


def _remember(client: Any, value: bool) -> None:
    vars(client)["_got_through"] = value


_HAS_CONNECTED = property(_has_connected, _remember)
