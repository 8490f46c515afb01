"""Many exposures at a time: what ends how, in which order, and what the server knows of it."""

import os
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from machine import until
from misbehaving import FLOW
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.workarounds import send_what_is_queued
from stpipe_prefect.outcomes import Outcome


@pytest.fixture
def calibrate(prefect_server, fork_server, tmp_path):
    """Calibrate exposures that end as told; give results by name, log, and sub-flow runs."""
    log = tmp_path / "log"

    def run(how, needs=None, **options):
        exposures = [
            Exposure(
                name,
                FLOW,
                {"name": name, "how": end, "log": str(log)},
                frozenset((needs or {}).get(name, ())),
            )
            for name, end in how.items()
        ]

        @flow
        def campaign():
            with closing(calibrate_all(exposures, **options)) as ended:
                return str(flow_run.id), list(ended)

        run_id, results = campaign()
        send_what_is_queued()
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id])
                )
            )
        lines = [line.split() for line in log.read_text().splitlines()]
        return {result.name: result for result in results}, lines, runs

    return run


@pytest.mark.parametrize(
    "options", [{"time_limit": -1}, {"time_limit": 0}, {"time_limit": float("nan")}, {"jobs": 0}]
)
def test_limit_that_is_none_is_refused(options):
    with pytest.raises(UsageError, match=f"{next(iter(options))} = .*: expected a number above 0"):
        list(calibrate_all([Exposure("a", FLOW, {})], **options))


def test_each_ends_in_its_own_way_and_the_others_are_unharmed(calibrate):
    hows = {"a": "well", "b": "kill", "c": "hang", "d": "raise", "e": "allocate", "f": "well"}
    results, lines, runs = calibrate(hows, jobs=3, time_limit=40.0)
    assert {name: result.outcome for name, result in results.items()} == {
        "a": Outcome.COMPLETED,
        "b": Outcome.CRASHED,
        "c": Outcome.TIMED_OUT,
        "d": Outcome.FAILED,
        "e": Outcome.OUT_OF_MEMORY,
        "f": Outcome.COMPLETED,
    }
    assert results["a"].products == ["a.fits"]
    assert results["c"].failure == "c: pipeline: took longer than 40 s"
    assert results["d"].failure == "d: cut short"
    assert results["b"].failure.startswith("b: pipeline: was killed (signal 9)")
    # What may have been for want of memory is tried once more, by itself.
    begun = Counter(name for name, what, _ in lines if what == "begins")
    assert begun == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 2, "f": 1}
    # Running out of memory is a failure to the flow, if enough is left for it to say so.
    states = Counter(run.state.name.replace("OutOfMemory", "Failed") for run in runs)
    assert states == {"Completed": 2, "Crashed": 2, "TimedOut": 1, "Failed": 1 + 2}


def test_what_needs_others_begins_when_they_have_ended(calibrate):
    hows = {"a": "sleep0.1", "b": "sleep3", "ab": "well", "c": "raise", "bc": "well"}
    needs = {"ab": ["a", "b"], "bc": ["b", "c"]}
    hows |= {f"more{number}": "sleep1" for number in range(6)}
    results, lines, _ = calibrate(hows, needs, jobs=2)
    times = {(name, what): float(when) for name, what, when in lines}
    assert times["ab", "begins"] >= max(times["a", "ends"], times["b", "ends"])
    assert times["ab", "begins"] < times["more5", "begins"]  # as soon as its members are there
    assert ("bc", "begins") not in times
    assert results["bc"].failure == "bc: not begun: it needs products of c, which failed"
    assert results["more5"].outcome is Outcome.COMPLETED


def test_log_lines_are_in_the_run_they_belong_to(calibrate):
    _, _, runs = calibrate(dict.fromkeys("abcd", "sleep1"), jobs=4)
    assert len(runs) == 4
    with get_client(sync_client=True) as client:
        for run in runs:
            by_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
            lines = [log.message for log in client.read_logs(log_filter=by_run)]
            name = run.parameters["name"]
            mine = [line for line in lines if line.startswith("line ")]
            assert sorted(mine) == [f"line {number} of {name}" for number in range(5)]


KILLED = """
import sys
from contextlib import closing
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all

url, log = sys.argv[1:]

@flow(name="killed")
def campaign():
    exposures = [
        Exposure(name, "misbehaving:exposure", {"name": name, "how": "sleep600", "log": log})
        for name in "ab"
    ]
    with closing(calibrate_all(exposures, jobs=2)) as ended:
        return list(ended)

if __name__ == "__main__":
    from stpipe_prefect.execution.processes import start_fork_server

    start_fork_server(["flows.calibrate.preload", "misbehaving"])
    with temporary_settings({PREFECT_API_URL: url}):
        campaign()
"""


@pytest.fixture
def temporary():
    """A folder for temporary files with a short path: a socket has room for 107 characters."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_runs_of_a_command_that_is_killed_are_marked_as_crashed(
    prefect_server, tmp_path, temporary
):
    script, log = tmp_path / "killed.py", tmp_path / "log"
    script.write_text(KILLED)
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, script, PREFECT_API_URL.value(), log],
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        until(lambda: log.exists() and len(log.read_text().splitlines()) == 2, "two under way")
        command.kill()

    by_name = FlowFilter(name=FlowFilterName(any_=["killed"]))
    with get_client(sync_client=True) as client:
        (campaign,) = client.read_flow_runs(flow_filter=by_name)
        below = FlowRunFilterParentFlowRunId(any_=[campaign.id])

        def runs():
            exposures = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(parent_flow_run_id=below)
            )
            return [client.read_flow_run(campaign.id), *exposures]

        until(lambda: all(run.state.is_final() for run in runs()), "end of the runs")
        assert [run.state.name for run in runs()] == ["Crashed"] * 3
        assert {run.state.message for run in runs()} == {"the process that started it was killed"}
    until(lambda: not any(temporary.glob("pymp-*")), "end of the fork server")
