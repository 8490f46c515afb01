"""What is operated: docker/compose.yaml as processes, and what make up starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from composed import Composed, composed
from databases import redis
from lantern.model import Row
from machine import Machine, machine, until

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
        "CRDS_SERVER_URL_JWST": "",
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
        made.start("worker")
        until(lambda: made.ask("POST", "/work_pools/filter", {}), "a work pool of the worker's")
        yield made


@pytest.fixture
def operated(machine_of_tests: Machine) -> Machine:
    """A machine that is up, with an archive of one image and one dark."""
    if not (machine_of_tests.state / "server.pid").exists():
        machine_of_tests.up()
    return machine_of_tests


@pytest.fixture(scope="session")
def machine_of_tests(small: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Have the archive calibrated under context 1 to begin with."""
    from astropy.io import fits

    folder = tmp_path_factory.mktemp("operated")
    crds_path = shutil.copytree(small.crds_path, folder / "crds")
    for number, kind in ((1, "NRC_IMAGE"), (2, "NRC_DARK")):
        name = f"jw01234001001_02101_{number:05d}_nrcb1_uncal.fits"
        (folder / "archive").mkdir(exist_ok=True)
        with fits.open(small.program.exposures[0]) as hdus:
            hdus[0].header["EXP_TYPE"] = kind
            hdus[0].header["FILENAME"] = name
            hdus.writeto(folder / "archive" / name)
    with machine(folder, crds_path) as made:
        assert made.ended(made.start("reprocess"))["type"] == "COMPLETED"
        yield made
