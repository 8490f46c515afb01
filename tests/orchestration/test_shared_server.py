"""The embedded server: shared, found, missed, started again, and gone with its last user."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from lantern.model import Row
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


FORKED = """
import json, multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from lantern.pipelines import CalibratePipeline
from stpipe_prefect import as_flow
from stpipe_prefect.orchestration.shared_server import shared_server

flow = as_flow(CalibratePipeline)

def run(folder):
    return flow("one_raw.row", output_dir=folder)[0]

made = [run("a")]  # as a notebook does; then its pool is forked
with multiprocessing.get_context("fork").Pool(2) as pool:
    made += pool.map(run, ["b", "c", "d"])
server = shared_server()
print(json.dumps([server.api_url, server.auth_string, server.caution, made]), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(new_prefect_home, lantern_cache, tmp_path_factory):
    """A server that was started where the usual database is broken, and what ran there."""
    home, folder = new_prefect_home(), tmp_path_factory.mktemp("forked")
    (home / "prefect.db").rename(home / "prefect-2.db")
    (home / "prefect.db").write_text("no database")
    Row([1.0, 10.0, 50.0, 100.0]).save(str(folder / "one_raw.row"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    with (
        (home / "said").open("w") as said,
        subprocess.Popen(
            [sys.executable, "-c", FORKED, MISSION],
            cwd=folder,
            env=kept | {"CRDS_PATH": str(lantern_cache), "PREFECT_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        url, auth, caution, made = json.loads(process.stdout.readline())
        yield SimpleNamespace(
            home=home, url=url, auth=tuple(auth.split(":")), caution=caution, made=made
        )
        process.stdin.close()


def test_broken_database_does_not_stop_a_run(server):
    usual, other = server.home / "prefect.db", server.home / "prefect-2.db"
    assert server.caution == (
        f"Prefect's database {usual} cannot be used (file is not a database): runs are recorded "
        f"in {other}; repair or move the file, or set PREFECT_HOME to another folder"
    )
    assert server.caution in (server.home / "said").read_text()


def test_processes_forked_after_a_run_report_to_its_server(server):
    assert server.made == [f"{out}/one_cal.row" for out in "abcd"]
    assert len(servers(server.home)) == 1
    with closing(sqlite3.connect(server.home / "prefect-2.db")) as database:
        runs = database.execute("SELECT state_name FROM flow_run").fetchall()
    assert runs == [("Completed",)] * 4


def test_nobody_is_sent_away_because_others_write(server):
    folder = server.home / "embedded"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (address,) = folder.glob("*.server")
    assert stat.S_IMODE(address.stat().st_mode) == 0o600

    def post(path, times, **content):
        with httpx.Client(base_url=server.url, timeout=60, auth=server.auth) as client:
            return [client.post(path, json=content) for _ in range(times)]

    assert httpx.post(f"{server.url}/flows/filter", json={}).status_code == 401
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
        ThreadPoolExecutor(2) as threads,
    ):
        # The first to come, at once, share the server that one of them starts.
        runs = threads.map(lambda run, out: run(out), (one, two), "ab")
        assert list(runs) == [f"{out}/one_cal.row" for out in "ab"]
        (first,) = servers(home)

        # It is killed, and there again for who needs it.
        first.kill()
        assert one("c") == "c/one_cal.row"
        assert two("d") == "d/one_cal.row"
        (second,) = servers(home)
        assert second.pid != first.pid

        # Who has started it goes: it stays for the other.
        goes, stays = (one, two) if second.ppid() == one.process.pid else (two, one)
        assert second.ppid() == goes.process.pid
        goes.process.kill()
        goes.process.wait()
        assert stays("e") == "e/one_cal.row"
        assert servers(home) == [second]
    until(lambda: not servers(home), "end of the server")
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        runs = database.execute("SELECT state_name FROM flow_run").fetchall()
        tasks = database.execute(
            "SELECT task_run.name FROM task_run JOIN flow_run ON flow_run_id = flow_run.id "
            "WHERE task_run.state_name = 'Completed' AND flow_run.id = "
            "(SELECT id FROM flow_run ORDER BY start_time DESC LIMIT 1)"
        ).fetchall()
    assert runs == [("Completed",)] * 5
    assert {name for (name,) in tasks} >= {"dark", "flat", "clip"}


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
