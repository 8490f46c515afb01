"""What it gains to fetch reference files beside the work, where downloads take their time."""

import json
import subprocess
import sys

import loopback
import pytest
from loopback import LoopbackCrds

SECONDS = 3.0

PLAIN = """
import json, sys, time
import jwst.pipeline

exposure, out = sys.argv[1:]
started = time.perf_counter()
jwst.pipeline.Detector1Pipeline.call(exposure, save_results=True, output_dir=out)
print(json.dumps({"s": time.perf_counter() - started}))
"""

FLOW = """
import json, sys, time
import jwst.pipeline
from prefect import flow
from stpipe_prefect import as_flow

exposure, out = sys.argv[1:]
flow(lambda: None, name="connect")()
started = time.perf_counter()
as_flow("jwst::calwebb_detector1")(exposure, output_dir=out)
print(json.dumps({"s": time.perf_counter() - started}))
"""


@pytest.fixture
def measure(small_exposure, running_server, environment, tmp_path):
    """Run code on a cold cache, filled from a server whose reference files take `SECONDS`."""
    exposure, crds_path = small_exposure

    def run(code: str, name: str, *, cold: bool = True) -> float:
        with LoopbackCrds(crds_path).running() as server:
            for path in (crds_path / "references").rglob("*.fits"):
                server.manners[path.name] = loopback.slowly(SECONDS)
            out = tmp_path / name
            out.mkdir()
            crds = {"CRDS_PATH": str(tmp_path / f"{name}-crds"), "CRDS_SERVER_URL": server.url}
            if not cold:
                crds = {"CRDS_PATH": str(crds_path)}
            result = subprocess.run(
                [sys.executable, "-c", code, str(exposure), str(out)],
                env=environment | crds | {"PREFECT_API_URL": running_server},
                capture_output=True,
                text=True,
                check=False,
            )
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout.splitlines()[-1])["s"]

    return run


def test_flow_against_fetching_all_and_then_running(measure, say, held):
    plain, flow = measure(PLAIN, "plain"), measure(FLOW, "flow")
    warm = measure(FLOW, "warm", cold=False)
    say(
        f"cold cache, {SECONDS:g} s a file: {plain:.1f} s fetching all and then running (jwst's "
        f"own way), {flow:.1f} s as a flow; all in the cache {warm:.1f} s"
    )
    held("cold cache / fetching all and then running", flow / plain, limit=0.7)
