"""A flow that a script serves."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lantern.model import Row
from machine import until
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

SERVE = """
from lantern.pipelines import CalibratePipeline
from stpipe_prefect import as_flow

calibrate = as_flow(CalibratePipeline)
if __name__ == "__main__":
    calibrate.serve(name="served")
"""


def test_runs_with_what_it_is_given(prefect_server, mission):
    Path("serve.py").write_text(SERVE)
    surroundings = {
        "PREFECT_API_URL": PREFECT_API_URL.value(),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "STPIPE_PREFECT_INPUT_ROOTS": str(mission),
        "STPIPE_PREFECT_OUTPUT_ROOTS": str(mission),
    }
    with (
        Path("log").open("w") as log,
        get_client(sync_client=True) as client,
        subprocess.Popen(
            [sys.executable, "serve.py"], env=os.environ | surroundings, stdout=log, stderr=log
        ) as serving,
    ):

        def deployment():
            assert serving.poll() is None, Path("log").read_text()
            with suppress(ObjectNotFound):
                return client.read_deployment_by_name("lantern_calibrate/served")

        served = until(deployment, "a deployment")
        given = {"input": "one_raw.row", "steps": {"clip": {"high": 7}}}
        run = client.create_flow_run_from_deployment(served.id, parameters=given)
        until(lambda: client.read_flow_run(run.id).state.is_final(), "end of the run")
        state = client.read_flow_run(run.id).state
        serving.terminate()
    assert state.is_completed(), state.message
    assert Row.open("one_cal.row").data == [0.0, 4.5, 0.0, 0.0]
