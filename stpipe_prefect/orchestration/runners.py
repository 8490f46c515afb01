"""Where exposures run: Prefect's task runners, by the address a user gives."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ..exceptions import UsageError
from .server import server_is_configured

_HERE = ("127.0.0.1", "localhost", "::1")


def task_runner(address: str | None) -> TaskRunner[Any]:
    """Make the task runner for an address.

    Parameters
    ----------
    address : str or None
        ``"dask://host:port"`` of a Dask scheduler; None for this machine. Any other of Prefect's
        task runners goes with a flow by ``flow.with_options(task_runner=...)``.

    Raises
    ------
    UsageError
        It is no such address, or what it needs is not installed, or workers elsewhere could not
        reach the Prefect server.
    """
    if address is None:
        return ThreadPoolTaskRunner()
    where = urlsplit(address)
    if where.scheme != "dask" or not where.hostname:
        raise UsageError(f"--runner {address}: expected dask://HOST:PORT")
    if find_spec("prefect_dask") is None:
        raise UsageError(
            f"--runner {address}: prefect-dask is missing: pip install 'stpipe_prefect[dask]'"
        )
    if where.hostname not in _HERE and not server_is_configured():
        raise UsageError(
            f"--runner {address}: Dask's workers have to reach the Prefect server: start one "
            "that they can, and set PREFECT_API_URL"
        )
    from prefect_dask.task_runners import DaskTaskRunner

    runner: TaskRunner[Any] = DaskTaskRunner(address=f"tcp://{where.netloc}")
    return runner
