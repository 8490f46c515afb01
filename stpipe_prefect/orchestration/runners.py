"""Where exposures run: threads here, which wait for processes or for jobs of SLURM, or Dask."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ..exceptions import UsageError, nearest
from ..execution.job_size import Slurm, read_address
from ..execution.slurm import Jobs, slurm_jobs
from ..execution.slurm_commands import SlurmError, ask_slurm
from ..remote.urls import url_of
from .server import LOOPBACK, server_is_configured

EXPECTED = "expected dask://HOST:PORT or slurm://PARTITION"


class SlurmTaskRunner(ThreadPoolTaskRunner[Any]):
    """Threads of this process, each of which waits for a job of SLURM.

    Parameters
    ----------
    slurm : Slurm
        Partition and limits.
    folder : pathlib.Path
        A folder that all nodes see, for what is exchanged with the jobs.
    """

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        super().__init__()
        self.slurm = slurm
        self._folder = folder
        self._jobs: Jobs | None = None
        self._held = ExitStack()

    @property
    def jobs(self) -> Jobs:
        """The jobs of the flow run that this runner has begun for."""
        assert self._jobs is not None
        return self._jobs

    def duplicate(self) -> Self:
        """Make another one for another flow run."""
        return type(self)(self.slurm, self._folder)

    def __enter__(self) -> Self:
        """Begin to take jobs."""
        self._jobs = self._held.enter_context(slurm_jobs(self.slurm.partition, self._folder))
        return super().__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel jobs that have not ended; the threads that wait for them end, too."""
        self.jobs.stop()
        super().__exit__(exc_type, exc_value, traceback)
        self._held.close()


def task_runner(address: str | None, folder: Path) -> TaskRunner[Any]:
    """Make the task runner for ``"dask://host:port"``, for a partition of SLURM, or this machine.

    Any other of Prefect's goes with a flow by ``flow.with_options(task_runner=...)``.

    Parameters
    ----------
    address : str or None
    folder : pathlib.Path
        That of the products, which all machines see.

    Raises
    ------
    UsageError
        The address is none, or what it needs is missing.
    """
    if address is None:
        return ThreadPoolTaskRunner()
    scheme = urlsplit(address).scheme
    if scheme == "slurm":
        return _slurm(address, folder)
    if scheme == "dask":
        return _dask(address)
    raise UsageError(f"--runner {address}: {EXPECTED}")


def slurm_of_flow() -> SlurmTaskRunner | None:
    """Give the runner of the flow around, if that has its exposures run by SLURM."""
    context = FlowRunContext.get()
    runner = context.task_runner if context else None
    return runner if isinstance(runner, SlurmTaskRunner) else None


def _slurm(address: str, folder: Path) -> SlurmTaskRunner:
    slurm = read_address(address)
    if url := url_of(folder):
        raise UsageError(
            f"--runner {address}: its jobs exchange files beside the products, and {url} is no "
            "folder that all nodes see"
        )
    if not server_is_configured():
        raise _no_server(address, "nodes of SLURM")
    try:
        known = ask_slurm("sinfo", "--noheader", "--format=%R").split()
    except SlurmError as error:
        raise UsageError(f"--runner {address}: {error}") from error
    if slurm.partition not in known:
        raise UsageError(
            f"--runner {address}: there is no partition {slurm.partition}"
            f"{nearest(slurm.partition, known)}; choose from {', '.join(sorted({*known}))}"
        )
    return SlurmTaskRunner(slurm, folder)


def _dask(address: str) -> TaskRunner[Any]:
    where = urlsplit(address)
    if not where.hostname:
        raise UsageError(f"--runner {address}: {EXPECTED}")
    if find_spec("prefect_dask") is None:
        raise UsageError(
            f"--runner {address}: prefect-dask is missing: pip install 'stpipe_prefect[dask]'"
        )
    if where.hostname not in LOOPBACK and not server_is_configured():
        raise _no_server(address, "Dask workers")
    from prefect_dask.task_runners import DaskTaskRunner

    runner: TaskRunner[Any] = DaskTaskRunner(address=f"tcp://{where.netloc}")
    return runner


def _no_server(address: str, who: str) -> UsageError:
    return UsageError(
        f"--runner {address}: {who} must reach the Prefect server: start one that they can, and "
        "set PREFECT_API_URL"
    )
