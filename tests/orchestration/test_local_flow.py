"""Flows that Python calls where no server is configured."""

import sqlite3
from contextlib import closing

from stpipe_prefect import PipelineFlow, as_flow

CALLED = """
from flows.reprocess.watch import watch_context

print(watch_context("jwst", return_state=True).message)
"""


def test_flow_of_a_mission_reports_to_the_shared_server(
    new_prefect_home, run_python, mission, lantern_cache, monkeypatch
):
    home = new_prefect_home()
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    printed = run_python(CALLED, CRDS_PATH=lantern_cache)
    assert printed.split()[-1] == "jwst_0001.pmap"
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        assert database.execute("SELECT state_name FROM flow_run").fetchall() == [("Completed",)]
    assert any((home / "embedded").iterdir())


def test_flow_with_other_options_is_still_one(mission):
    flow = as_flow("lantern.pipelines.CalibratePipeline")
    other = flow.with_options(name="other", retries=2)
    assert isinstance(other, PipelineFlow)
    assert (other.name, other.retries, flow.retries) == ("other", 2, 0)
    assert other.__signature__ == flow.__signature__
    assert list(other.plan("one_raw.row").reasons) == ["no product"]
