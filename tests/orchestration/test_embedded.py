"""The embedded server under the load of many exposures."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from stpipe_prefect.orchestration.server import EmbeddedServer


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    server = EmbeddedServer()
    try:
        server.wait()
        yield server.api_url
    finally:
        server.stop()
        server._process.wait()


def test_nobody_is_sent_away_because_others_write(api):
    flow = httpx.post(f"{api}/flows/", json={"name": "busy"}, timeout=60).json()["id"]

    def begin_runs(_: int) -> list[int]:
        with httpx.Client(base_url=api, timeout=60) as client:
            new = {"flow_id": flow, "state": {"type": "PENDING"}}
            return [client.post("/flow_runs/", json=new).status_code for _ in range(15)]

    with ThreadPoolExecutor(8) as threads:
        statuses = [status for some in threads.map(begin_runs, range(8)) for status in some]
    assert statuses == [201] * 120


FORKED = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from lantern.pipelines import CalibratePipeline
from stpipe_prefect import as_flow

flow = as_flow(CalibratePipeline)

def run(folder):
    return flow("one_raw.row", output_dir=folder)[0]

run("a")  # as a notebook does; then its pool is forked
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*pool.map(run, ["b", "c", "d"]))
"""


def test_processes_forked_after_a_run_report_to_its_server(
    mission, run_python, lantern_cache, monkeypatch
):
    monkeypatch.setenv("PREFECT_HOME", str(mission / "prefect"))
    folder = Path(__file__).parents[1] / "mission"
    printed = run_python(FORKED, folder, CRDS_PATH=lantern_cache)
    assert printed.split() == ["b/one_cal.row", "c/one_cal.row", "d/one_cal.row"]
