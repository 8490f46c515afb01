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
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.orchestration.batch import Exposure, calibrate_all
from stpipe_prefect.orchestration.workarounds import send_what_is_queued
from stpipe_prefect.outcomes import Outcome

HOWS = {
    "hangs": "hang",  # and keeps one of three jobs until its time is over
    "short": "sleep0.1",
    "long": "sleep1",
    "of both": "well",
    "fails": "raise",
    "of failed": "well",
    **{f"more{number}": "sleep1" for number in range(6)},
    "killed": "kill",
    "large": "allocate",
    "last": "well",
}
NEEDS = {"of both": ["short", "long"], "of failed": ["long", "fails"]}
MORE = [f"more{number}" for number in range(6)]


@pytest.fixture(scope="module")
def campaign(prefect_server, fork_server, tmp_path_factory):
    """Results by name, the log that the exposures write, and their flow runs."""
    log = tmp_path_factory.mktemp("campaign") / "log"
    exposures = [
        Exposure(
            name,
            FLOW,
            {"name": name, "how": how, "log": str(log)},
            frozenset(NEEDS.get(name, ())),
        )
        for name, how in HOWS.items()
    ]

    @flow
    def campaign():
        with closing(calibrate_all(exposures, jobs=3, time_limit=20.0)) as ended:
            return str(flow_run.id), list(ended)

    run_id, results = campaign()
    send_what_is_queued()
    by_parent = FlowRunFilterParentFlowRunId(any_=[run_id])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=by_parent))
    lines = [line.rsplit(maxsplit=2) for line in log.read_text().splitlines()]
    return {result.name: result for result in results}, lines, runs


@pytest.mark.parametrize(
    "options", [{"time_limit": -1}, {"time_limit": 0}, {"time_limit": float("nan")}, {"jobs": 0}]
)
def test_limit_that_is_none_is_refused(options):
    with pytest.raises(UsageError, match=f"{next(iter(options))} = .*: expected a number above 0"):
        list(calibrate_all([Exposure("a", FLOW, {})], **options))


def test_each_ends_in_its_own_way_and_the_others_are_unharmed(campaign):
    results, lines, runs = campaign
    assert {name: result.outcome for name, result in results.items()} == {
        "hangs": Outcome.TIMED_OUT,
        "short": Outcome.COMPLETED,
        "long": Outcome.COMPLETED,
        "of both": Outcome.COMPLETED,
        "fails": Outcome.FAILED,
        "of failed": Outcome.FAILED,
        **dict.fromkeys(MORE, Outcome.COMPLETED),
        "killed": Outcome.CRASHED,
        "large": Outcome.OUT_OF_MEMORY,
        "last": Outcome.COMPLETED,
    }
    assert results["last"].products == ["last.fits"]
    assert results["hangs"].failure == "hangs: pipeline: took longer than 20 s"
    assert results["fails"].failure == "fails: cut short"
    assert results["killed"].failure.startswith("killed: pipeline: was killed (signal 9)")
    # What may have been for want of memory is tried once more, by itself.
    begun = Counter(name for name, what, _ in lines if what == "begins")
    assert begun == Counter({*HOWS} - {"of failed"}) + Counter(["killed", "large"])
    # Running out of memory is a failure to the flow, if enough is left for it to say so.
    states = Counter(run.state.name.replace("OutOfMemory", "Failed") for run in runs)
    assert states == {"Completed": 4 + len(MORE), "Crashed": 2, "TimedOut": 1, "Failed": 1 + 2}


def test_what_needs_others_is_the_next_to_begin_when_they_have_ended(
    prefect_server, fork_server, tmp_path
):
    happened = []
    names = ["one", "other", "of both", *MORE]
    exposures = [
        Exposure(
            name,
            FLOW,
            {"name": name, "how": "well", "log": str(tmp_path / "log")},
            frozenset(["one", "other"] if name == "of both" else ()),
        )
        for name in names
    ]

    @flow
    def campaign():
        with closing(calibrate_all(exposures, jobs=2, decide=happened.append)) as ended:
            happened.extend(f"{result.name} ended" for result in ended)

    campaign()
    after = max(happened.index("one ended"), happened.index("other ended"))
    assert happened[after + 1] == "of both"
    assert [name for name in happened if name in MORE] == MORE


def test_what_needs_others_begins_when_they_have_ended(campaign):
    results, lines, _ = campaign
    times = {(name, what): float(when) for name, what, when in lines}
    assert times["of both", "begins"] >= max(times["short", "ends"], times["long", "ends"])
    assert ("of failed", "begins") not in times
    assert results["of failed"].failure == (
        "of failed: not started: it needs products of fails, which failed"
    )


def test_what_needs_a_failed_one_begins_if_that_is_decided(prefect_server, fork_server, tmp_path):
    hows, log = {"fails": "raise", "of failed": "well", "left": "well"}, str(tmp_path / "log")
    needs = {"of failed": frozenset({"fails"}), "left": frozenset({"of failed"})}
    left = Result("left", Ended(Outcome.SKIPPED))
    asked = []

    def decide(name):
        asked.append(name)
        return left if name == "left" else None

    @flow
    def campaign():
        exposures = [
            Exposure(
                name, FLOW, {"name": name, "how": how, "log": log}, needs.get(name, frozenset())
            )
            for name, how in hows.items()
        ]
        with closing(calibrate_all(exposures, decide=decide)) as ended:
            return [*ended]

    outcomes = {result.name: result.outcome for result in campaign()}
    assert outcomes == {
        "fails": Outcome.FAILED,
        "of failed": Outcome.COMPLETED,
        "left": Outcome.SKIPPED,
    }
    assert asked == [*hows]


def test_log_lines_are_in_the_run_they_belong_to(campaign):
    _, _, runs = campaign
    mine = [run for run in runs if run.parameters["name"] in MORE]
    assert len(mine) == len(MORE)
    with get_client(sync_client=True) as client:
        for run in mine:
            by_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
            lines = [log.message for log in client.read_logs(log_filter=by_run)]
            said = [line for line in lines if line.startswith("line ")]
            name = run.parameters["name"]
            assert sorted(said) == [f"line {number} of {name}" for number in range(5)]


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
        Exposure(name, "misbehaving:exposure", {"name": name, "how": how, "log": log})
        for name, how in (("a", f"within {log}.a"), ("b", f"within {log}.b"))
    ]
    with closing(calibrate_all(exposures, jobs=2)) as ended:
        return list(ended)

if __name__ == "__main__":
    from stpipe_prefect.execution.processes import use_warm_process

    use_warm_process(["flows.calibrate.preload", "misbehaving"])
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
        until(lambda: all(Path(f"{log}.{name}").exists() for name in "ab"), "two under way")
        command.kill()

    by_name = FlowFilter(name=FlowFilterName(any_=["killed"]))
    with get_client(sync_client=True) as client:
        (campaign,) = client.read_flow_runs(flow_filter=by_name)

        def below(runs):
            parents = FlowRunFilterParentFlowRunId(any_=[run.id for run in runs])
            return client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parents))

        def runs():
            exposures = below([campaign])
            return [client.read_flow_run(campaign.id), *exposures, *below(exposures)]

        until(lambda: all(run.state.is_final() for run in runs()), "end of the runs")
        assert [run.state.name for run in runs()] == ["Crashed"] * 5
        assert {run.state.message for run in runs()} == {"the process that started it was killed"}
        every = FlowRunFilter(id=FlowRunFilterId(any_=[run.id for run in runs()]))
        tasks = client.read_task_runs(flow_run_filter=every)
        assert tasks and {run.state.name for run in tasks} == {"Crashed"}
    assert not any(temporary.iterdir())
