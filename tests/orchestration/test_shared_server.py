"""The embedded server: shared, found, missed, started again, and gone with its last user."""

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from machine import until

from stpipe_prefect.exceptions import StpipePrefectError
from stpipe_prefect.orchestration.shared_server import MODULE, SharedServer

MISSION = Path(__file__).parents[1] / "mission"

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from lantern.pipelines import CalibratePipeline
from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import StpipePrefectError

flow = as_flow(CalibratePipeline)
try:
    for line in iter(sys.stdin.readline, ""):
        print(*flow("one_raw.row", output_dir=line.strip()), flush=True)
except StpipePrefectError as error:
    raise SystemExit(str(error))
"""


@pytest.fixture
def home(new_prefect_home, monkeypatch):
    """A folder of Prefect, for this process and those that it starts."""
    from prefect.settings import PREFECT_HOME, temporary_settings

    folder = new_prefect_home()
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings({PREFECT_HOME: folder}):
        yield folder
    for each in servers(folder):
        each.kill()


def servers(home):
    """List the processes of a folder's servers."""
    return [
        process
        for process in psutil.process_iter()
        if psutil.pid_exists(process.pid)
        and MODULE in (words := command_line(process))
        and words[-1].startswith(str(home))
    ]


def command_line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def python(**variables):
    """Start a process that runs a flow for every line it is given; gives how to ask it."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(MISSION)],
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:

        def run(folder):
            process.stdin.write(f"{folder}\n")
            return process.stdout.readline().strip()

        run.process = process
        yield run
        process.stdin.close()


def test_nobody_is_sent_away_because_others_write(home):
    server = SharedServer()
    server.wait()
    assert stat.S_IMODE((home / "embedded").stat().st_mode) == 0o700
    (address,) = (home / "embedded").glob("*.server")
    assert stat.S_IMODE(address.stat().st_mode) == 0o600

    def post(path, times, **content):
        auth = tuple(server.auth_string.split(":"))
        with httpx.Client(base_url=server.api_url, timeout=60, auth=auth) as client:
            return [client.post(path, json=content) for _ in range(times)]

    assert httpx.post(f"{server.api_url}/flows/filter", json={}).status_code == 401
    (flow,) = post("/flows/", 1, name="busy")

    def begin_runs(_):
        return post("/flow_runs/", 15, flow_id=flow.json()["id"], state={"type": "PENDING"})

    with ThreadPoolExecutor(8) as threads:
        answers = [answer for some in threads.map(begin_runs, range(8)) for answer in some]
    assert [answer.status_code for answer in answers] == [201] * 120


NO_PROXY_IS_THERE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "example.org",
}


def test_users_come_and_go_and_so_does_the_server(mission, home):
    """No proxy is asked for what is here, either: the first to come is given dead ones."""
    with (
        python(**NO_PROXY_IS_THERE) as one,
        python() as two,
        python() as three,
        ThreadPoolExecutor(3) as threads,
    ):
        # The first to come, all at once, share the server that one of them starts.
        runs = threads.map(lambda run, out: run(out), (one, two, three), "abc")
        assert list(runs) == [f"{out}/one_cal.row" for out in "abc"]
        (first,) = servers(home)

        # It is killed, and there again for who needs it.
        first.kill()
        assert one("d") == "d/one_cal.row"
        assert two("e") == "e/one_cal.row"
        (second,) = servers(home)
        assert second.pid != first.pid

        # Who has started it goes: it stays for the others.
        for user in (one, two):
            user.process.kill()
            user.process.wait()
        assert three("f") == "f/one_cal.row"
        assert servers(home) == [second]
    until(lambda: not servers(home), "end of the server")
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        runs = database.execute("SELECT state_name FROM flow_run").fetchall()
        tasks = database.execute(
            "SELECT task_run.name FROM task_run JOIN flow_run ON flow_run_id = flow_run.id "
            "WHERE task_run.state_name = 'Completed' AND flow_run.id = "
            "(SELECT id FROM flow_run ORDER BY start_time DESC LIMIT 1)"
        ).fetchall()
    assert runs == [("Completed",)] * 6
    assert {name for (name,) in tasks} >= {"dark", "flat", "clip"}


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
    mission, home, run_python, lantern_cache
):
    printed = run_python(FORKED, MISSION, CRDS_PATH=lantern_cache)
    assert printed.split() == ["b/one_cal.row", "c/one_cal.row", "d/one_cal.row"]


def test_proxy_that_cannot_be_asked_is_named(mission, home):
    with python(all_proxy="socks5://127.0.0.1:9") as run:
        assert run("a") == ""
        assert run.process.stderr.read().strip() == (
            "The proxy socks5://127.0.0.1:9 (ALL_PROXY) asks for SOCKS: "
            "pip install 'httpx[socks]', or unset it"
        )


def test_folder_that_cannot_be_used_is_named(mission, home):
    (home / "embedded").write_text("not a folder")
    with pytest.raises(StpipePrefectError) as caught:
        SharedServer()
    assert str(caught.value) == (
        f"Prefect's folder {home} cannot be used (File exists): set PREFECT_HOME to a folder "
        "that you may write to, on a file system with locks"
    )


def test_last_words_of_a_server_that_did_not_start_are_said(home, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_TIMEOUT", "soon")
    with pytest.raises(StpipePrefectError, match=r"did not start: .*unable to parse string.*\.log"):
        SharedServer().wait()


def test_broken_database_does_not_stop_a_run(home, caplog):
    (home / "prefect.db").rename(home / "prefect-2.db")
    (home / "prefect.db").write_text("no database")
    server = SharedServer()
    server.wait()
    assert server.caution == (
        f"Prefect's database {home / 'prefect.db'} cannot be used (file is not a database): runs "
        f"are recorded in {home / 'prefect-2.db'}; repair or move the file, or set PREFECT_HOME "
        "to another folder"
    )
    assert server.caution in caplog.text
