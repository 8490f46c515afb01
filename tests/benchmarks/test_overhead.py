"""What a flow costs beyond the pipeline: per step, and once per run."""

import json
import statistics
import subprocess
import sys
from contextlib import nullcontext

import pytest

MEASURE = """
import gc, json, statistics, sys, time
from jwst.stpipe import Pipeline, Step

class NoOp(Step):
    class_alias = "no_op"
    spec = ""
    def process(self, data):
        return data

def pipeline_of(count):
    class Steps(Pipeline):
        class_alias = f"pipeline_of_{count}"
        spec = ""
        step_defs = {f"step_{number:02}": NoOp for number in range(count)}
        def process(self, data):
            for name in self.step_defs:
                data = getattr(self, name).run(data)
            return data
    return Steps

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from stpipe_prefect import as_flow
from stpipe_prefect.orchestration.server import prefect_api

@task(cache_policy=NO_CACHE, persist_result=False)
def nothing():
    pass

@flow(persist_result=False)
def tasks(count):
    for _ in range(count):
        nothing()

def prefect_alone(count):
    with prefect_api():
        tasks(count)

exposure, out = sys.argv[1:]
options = {"output_dir": out, "save_results": False, "overwrite": True}
few, many = pipeline_of(1), pipeline_of(31)
runs = {
    "plain few": lambda: few.call(exposure, configure_log=False),
    "plain many": lambda: many.call(exposure, configure_log=False),
    "flow few": lambda: as_flow(few)(exposure, **options),
    "flow many": lambda: as_flow(many)(exposure, **options),
    "prefect few": lambda: prefect_alone(1),
    "prefect many": lambda: prefect_alone(31),
}
times = {name: [] for name in runs}
for run in runs.values():  # imports and connections of a first time
    run()
gc.collect()
gc.freeze()  # stpipe's collecting of garbage at every step is not what is measured
for _ in range(5):
    for name, run in runs.items():
        time.sleep(2)  # the server records tasks slower than they are sent
        gc.collect()
        started = time.perf_counter()
        run()
        times[name].append(time.perf_counter() - started)
print(json.dumps(times))
"""


@pytest.mark.parametrize("server", ["embedded", "SQLite", "PostgreSQL"])
def test_overhead_per_step_and_per_run(
    server, small_exposure, tmp_path, environment, start_server, request, say, held
):
    exposure, crds_path = small_exposure
    database = request.getfixturevalue("postgres_server") if server == "PostgreSQL" else None
    with nullcontext("") if server == "embedded" else start_server(database) as url:
        measured = subprocess.run(
            [sys.executable, "-c", MEASURE, str(exposure), str(tmp_path)],
            env=environment
            | ({"PREFECT_API_URL": url} if url else {})
            | {
                "CRDS_PATH": str(crds_path),
                "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            },
            capture_output=True,
            text=True,
            check=True,
        )
    times = {
        name: statistics.median(values)
        for name, values in json.loads(measured.stdout.splitlines()[-1]).items()
    }
    plain = (times["plain many"] - times["plain few"]) / 30
    per_step = (times["flow many"] - times["flow few"]) / 30 - plain
    per_run = times["flow few"] - times["plain few"] - per_step
    alone = (times["prefect many"] - times["prefect few"]) / 30
    say(
        f"a step without Prefect {plain * 1e3:.1f} ms, a task of Prefect alone {alone * 1e3:.1f} ms"
    )
    held(f"a step as a task beyond the step, {server}", per_step * 1e3, limit=10, unit="ms")
    held(f"a flow run beyond the pipeline, {server}", per_run * 1e3, limit=300, unit="ms")
