"""A thousand exposures that do nothing: the server records them all, and soon."""

import json
import os
import subprocess
import sys
import time

import pytest

NUMBER = int(os.environ.get("STPIPE_PREFECT_EXPOSURES", "1000"))

BATCH = """
import json, sys, time
from contextlib import closing
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import *
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.execution.processes import use_warm_process
from stpipe_prefect.orchestration.server import prefect_api
from misbehaving import FLOW

number, log = int(sys.argv[1]), sys.argv[2]
use_warm_process(["misbehaving", "stpipe_prefect.orchestration.subflow"])
exposures = [Exposure(f"e{n}", FLOW, {"name": f"e{n}", "how": "well", "log": log})
             for n in range(number)]

@flow
def batch():
    from prefect.runtime import flow_run
    with prefect_api(), closing(calibrate_all(exposures, jobs=2)) as results:
        return flow_run.id, sum(not result.failure for result in results)

started = time.time()
run, good = batch()
ended = time.time()
with get_client(sync_client=True) as client:
    while time.time() - ended < 300:
        query = {"flow_runs": {"id": {"any_": [str(run)]}},
                 "task_runs": {"state": {"name": {"any_": ["Completed"]}}}}
        recorded = client._client.post("/task_runs/count", json=query).json()
        if recorded >= number:
            break
        time.sleep(0.5)
    drained = time.time()
    query = {"flow_runs": {"parent_flow_run_id": {"any_": [str(run)]},
                           "state": {"name": {"any_": ["Completed"]}}}}
    flows = client._client.post("/flow_runs/count", json=query).json()
print(json.dumps({"good": good, "recorded": recorded, "flows": flows,
                  "seconds": ended - started, "drained": drained - ended}))
"""


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_nothing_is_lost(database, environment, request, tmp_path, start_server, say):
    url = request.getfixturevalue("postgres_server") if database == "PostgreSQL" else None
    with start_server(url) as api:
        paths = os.pathsep.join(["tests/processes", "."])
        done = subprocess.run(
            [sys.executable, "-c", BATCH, str(NUMBER), str(tmp_path / "log")],
            env=environment
            | {
                "PREFECT_API_URL": api,
                "PYTHONPATH": paths,
                "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            },
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    say(f"{NUMBER} exposures, {database}: {measured['seconds']:.0f} s, all recorded")
    say(f"{measured['drained']:.1f} s after the end ({time.strftime('%H:%M')})")
    assert measured["good"] == measured["recorded"] == measured["flows"] == NUMBER
    assert measured["drained"] <= 60
