"""Processes of their own, which end in every way there is."""

import os
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest

from stpipe_prefect.execution.processes import interruptible, run_isolated, stop_children
from stpipe_prefect.outcomes import Outcome

pytestmark = pytest.mark.usefixtures("fork_server")

FUNCTION = "misbehaving:behave"


def run(how, **options):
    said = []
    ended = run_isolated(FUNCTION, {"how": how}, said.append, **options)
    assert not psutil.pid_exists(said[0]["process"])
    assert said[0]["process"] != os.getpid()
    return ended, said


def test_it_runs_to_its_end():
    ended, said = run("well")
    assert (ended.outcome, ended.error, ended.exit_code) == (Outcome.COMPLETED, "", 0)
    assert said[0]["threads"] == "1"  # of linear algebra
    assert ended.seconds > 0
    assert ended.peak_memory_mb > 10


def test_what_goes_wrong_is_told():
    ended, _ = run("raise")
    assert (ended.outcome, ended.error, ended.exit_code) == (
        Outcome.FAILED,
        "cut short",
        1,
    )
    assert 'in end\n    raise InputError("cut short")' in ended.traceback


def test_killed():
    ended, _ = run("kill")
    assert ended.outcome is Outcome.CRASHED
    assert ended.error.startswith("was killed (signal 9)")


def test_memory_without_bound():
    ended, _ = run("allocate")
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert ended.error.startswith("MemoryError")
    assert ended.peak_memory_mb > 100


def test_hanging_in_c_code():
    said = []  # nothing, where the machine is so busy that it is over before
    ended = run_isolated(FUNCTION, {"how": "hang"}, said.append, time_limit=5.0)
    assert (ended.outcome, ended.error) == (Outcome.TIMED_OUT, "took longer than 5 s")
    assert not any(psutil.pid_exists(each["process"]) for each in said)


@pytest.mark.parametrize("how", ["sleep600", "hang"])
def test_all_are_stopped_at_once(how):
    ended, said = [], []

    def run_one():
        ended.append(run_isolated(FUNCTION, {"how": how}, said.append))

    threads = [threading.Thread(target=run_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(said) < 3:
        time.sleep(0.1)
    started = time.monotonic()
    stop_children()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 60
    assert [each.outcome for each in ended] == 3 * [Outcome.CRASHED]
    assert not any(psutil.pid_exists(each["process"]) for each in said)


def test_an_interruption_that_is_caught_by_others():
    with pytest.raises(KeyboardInterrupt), interruptible():  # noqa: PT012 - ended by the block's end
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        ended = run_isolated(FUNCTION, {"how": "well"}, lambda message: None)
        assert (ended.outcome, ended.error) == (Outcome.CRASHED, "interrupted")
    ended, _ = run("well")
    assert ended.outcome is Outcome.COMPLETED


def test_interruption_ends_what_is_under_way():
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible():
        run("sleep600")
    assert time.monotonic() - started < 60
