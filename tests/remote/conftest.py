"""Stand-ins for objects, in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stpipe_prefect.remote.scratch import scratch


@pytest.fixture
def here(tmp_path, monkeypatch) -> Iterator[Path]:
    """Have stand-ins in a scratch folder of the test."""
    monkeypatch.setenv("STPIPE_SCRATCH", str(tmp_path / "scratch"))
    with scratch("test", "a test"):
        yield tmp_path
