"""The service of docker/compose.yaml as processes, beside a real PostgreSQL and Redis."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from composed import Composed, composed
from databases import redis
from lantern.model import Row

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def service(
    postgres_server: str, lantern_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composed]:
    """A service with one worker that works, in a folder with an exposure of the mission lantern."""
    folder = tmp_path_factory.mktemp("service")
    Row([1.0, 10.0, 50.0, 100.0]).save(str(folder / "one_raw.row"))
    paths = (ROOT, ROOT / "tests" / "mission", ROOT / "tests" / "operations")
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "CRDS_PATH": str(lantern_cache),
        "CRDS_SERVER_URL": "",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "STPIPE_DISABLE_CRDS_STEPPARS": "true",  # its cache has none for these steps
        "STPIPE_PREFECT_INPUT_ROOTS": str(folder),
        "STPIPE_PREFECT_OUTPUT_ROOTS": str(folder),
    }
    with redis() as redis_url, composed(folder, postgres_server, redis_url, **environment) as made:
        made.run("migrate")
        for each in ("server", "services"):
            made.start(each)
        made.wait_for_server()
        made.ask("POST", "/work_pools/", {"name": "process", "type": "process"})
        made.start("worker")
        yield made
