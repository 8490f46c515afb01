"""Measurements: each compares the flow with plain jwst in one run, and prints what it found.

``--baseline FILE`` prints each beside what an earlier run has found; made if it is not there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from prefect_server import prefect_server

LAUNCHER = """
import os, sys
pid = os.fork()
if pid == 0:
    os.dup2(2, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process is said to have had the memory of the one it was forked from: this one is small."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--baseline", type=Path, help="what is measured is compared with this file")


@pytest.fixture(scope="session")
def baseline(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    """What an earlier run has found, and what this one finds."""
    path = request.config.getoption("--baseline")
    before = json.loads(path.read_text()) if path and path.exists() else {}
    now: dict[str, float] = {}
    yield before, now
    if path and not path.exists():
        path.write_text(json.dumps(now, indent=2) + "\n")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of measured processes: a Prefect home of their own, no CRDS but what is given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    return kept | {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="session")
def start_server(environment: dict[str, str]) -> Callable[..., AbstractContextManager[str]]:
    """Start a Prefect server, as a person would, and give its API's address."""

    def started(database: str | None = None) -> AbstractContextManager[str]:
        on = {"PREFECT_API_DATABASE_CONNECTION_URL": database} if database else {}
        return prefect_server(Path(environment["PREFECT_HOME"]), **on)

    return started


@pytest.fixture(scope="session")
def running_server(start_server: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """A Prefect server on its usual database."""
    with start_server() as url:
        yield url


@pytest.fixture(scope="session")
def strun() -> str:
    """The command that calibrates without this project."""
    return str(Path(sys.executable).with_name("strun"))


@pytest.fixture
def peak_memory(environment: dict[str, str]) -> Callable[..., float]:
    """Run a command to its end, and give the largest memory it took, in MB."""

    def run(*command: object, **variables: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", LAUNCHER, *map(str, command)],
            env=environment | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return int(done.stdout) / 1e3  # kB on Linux

    return run


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """Print a measurement past pytest's capture."""

    def write(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}", flush=True)

    return write


@pytest.fixture
def held(say, baseline: tuple[dict[str, float], dict[str, float]]):
    """Print a measurement beside its limit and what it was before, and hold it to the limit."""
    before, now = baseline

    def hold(name: str, value: float, *, limit: float, unit: str = "x") -> None:
        now[name] = value
        was = f", was {before[name]:.3g}" if name in before else ""
        say(f"{name}: {value:.3g} {unit} (at most {limit:g}{was})")
        assert value <= limit

    return hold


@pytest.fixture(scope="session")
def small_exposure(small) -> tuple[Path, Path]:
    """A 64 x 64 exposure and its CRDS cache."""
    return small.program.exposures[0], small.crds_path


@pytest.fixture(scope="session")
def assert_same_arrays() -> Callable[[Path, Path], None]:
    """Check that two files hold the same arrays."""
    import numpy as np
    from astropy.io import fits

    def check(one: Path, other: Path) -> None:
        with fits.open(one) as mine, fits.open(other) as yours:
            assert [hdu.name for hdu in mine] == [hdu.name for hdu in yours]
            for hdu in mine:
                if hdu.data is not None and hdu.name != "ASDF":
                    assert np.array_equal(hdu.data, yours[hdu.name].data, equal_nan=True)

    return check
