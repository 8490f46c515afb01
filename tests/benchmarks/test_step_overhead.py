"""What a step costs that does nothing.

By itself, beside upstream's, with jwst's modules in memory; as a task, beside a plain one.
"""

import json
import logging
import os
import statistics
import subprocess
import sys
import time

import jwst.pipeline  # noqa: F401 - what collecting garbage costs depends on it
import pytest
import stpipe

import stpipe_prefect

AS_TASKS = """
import json, logging, statistics, time
from lantern.steps import LanternStep
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from stpipe_prefect import Pipeline, as_flow
from stpipe_prefect.orchestration.workarounds import handlers_for_steps, send_what_is_queued

COUNT, ROUNDS = 30, 15
of_mission, of_base = logging.getLogger("lantern.steps"), logging.getLogger("stpipe.step")
spent = {"step": [], "plain": []}

class Logs(LanternStep):
    class_alias = "logs"
    def process(self, data):
        of_mission.info("nothing to do")
        return data

class Steps(Pipeline, LanternStep):
    class_alias = "steps"
    step_defs = {f"step_{number:02}": Logs for number in range(COUNT)}
    def process(self, data):
        data = self.open_model(data)
        return measured("step", lambda name, data: getattr(self, name).run(data), data)

@task(cache_policy=NO_CACHE, persist_result=False)
def plain(name):
    of_base.info("Step %s running with args %s.", name, ("x",))
    of_mission.info("nothing to do")
    of_base.info("Step %s done", name)

@flow(persist_result=False)
def plain_tasks():
    measured("plain", lambda name, data: plain(name), None)

def measured(what, run, data):
    send_what_is_queued()
    wall, own, all_threads = time.perf_counter(), time.thread_time(), time.process_time()
    for name in Steps.step_defs:
        data = run(name, data) or data
    waited, own = time.perf_counter() - wall, time.thread_time() - own
    send_what_is_queued()  # what a step leaves to other threads is its cost as well
    spent[what].append((time.process_time() - all_threads, own, waited))
    return data

def steps():
    as_flow(Steps)("one_raw.row", overwrite=True)

loggers = [logging.getLogger(name) for name in ("lantern", "stpipe")]
def tasks():
    # As PREFECT_LOGGING_EXTRA_LOGGERS does.
    for logger in loggers:
        logger.setLevel(logging.INFO)
        for handler in handlers_for_steps():
            logger.addHandler(handler)
    plain_tasks()
    for logger in loggers:
        for handler in handlers_for_steps():
            logger.removeHandler(handler)

for number in range(ROUNDS + 1):
    for run in (steps, tasks):
        run()
medians = {
    what: [statistics.median(times) * 1e3 / COUNT for times in zip(*rounds[1:])]
    for what, rounds in spent.items()
}
print(json.dumps(medians))
"""


def test_a_step_as_a_task_costs_little_more_than_a_task_that_logs_the_same(
    running_server, environment, lantern_cache, tmp_path, say, held
):
    from lantern.model import Row

    Row([1.0]).save(str(tmp_path / "one_raw.row"))
    done = subprocess.run(
        [sys.executable, "-c", AS_TASKS],
        cwd=tmp_path,
        env=environment
        | {
            "CRDS_PATH": str(lantern_cache),
            "PREFECT_API_URL": running_server,
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    (step, own, waited), (plain, own_plain, waited_plain) = measured["step"], measured["plain"]
    say(f"{step:.2f} / {plain:.2f} ms of CPU, {waited:.2f} / {waited_plain:.2f} ms of wall time")
    say(f"{own:.2f} / {own_plain:.2f} ms of CPU in the thread of the pipeline")
    held("a step as a task / a task that logs the same", step / plain, limit=1.3)


def _noop(base):
    class NoopStep(base):
        spec = """
        output_ext = string(default='.fits')
        """
        _log_records_formatter = logging.Formatter("%(message)s")

        @staticmethod
        def get_stpipe_loggers():
            return ("jwst", "stcal", "stdatamodels", "stpipe", "tweakwcs", "CRDS", "py.warnings")

        def process(self, *args):
            return None

    return NoopStep()


def _milliseconds(step, times):
    step.run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step.run()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


@pytest.mark.parametrize("level", ["WARNING", "INFO"])
def test_a_step_that_does_nothing_takes_less_than_a_millisecond(level, capsys):
    logger = logging.getLogger("stpipe")
    logger.setLevel(level)
    try:
        ours = _milliseconds(_noop(stpipe_prefect.Step), 200)
        theirs = _milliseconds(_noop(stpipe.Step), 10)
    finally:
        logger.setLevel(logging.NOTSET)
    with capsys.disabled():
        print(
            f"\nno-op Step.run, logging {level}: {ours:.3f} ms, upstream {theirs:.0f} ms, "
            f"{theirs / ours:.0f} times less"
        )
    assert ours < 1.0
    assert theirs > ours
