"""The warm process serves nothing that it is not up to, and goes when nobody needs it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import venv
from pathlib import Path

import psutil
import pytest
from machine import until
from shell import TESTS, gone

from stpipe_prefect.warm.client import FUNCTION
from stpipe_prefect.warm.forked import ask_for, forked
from stpipe_prefect.warm.messages import receive


@pytest.fixture
def own_module(shell):
    """A copy of the command that a test may change, in what looks like installed packages."""
    folder = shell.folder / "site-packages"
    folder.mkdir()
    source = shell.environment["PYTHONPATH"].split(os.pathsep)[0]
    shutil.copy(Path(source) / "surroundings.py", folder)
    shell.environment["PYTHONPATH"] += os.pathsep + str(folder)
    shell.environment["PYTHONPATH"] = os.pathsep.join(
        shell.environment["PYTHONPATH"].split(os.pathsep)[1:]
    )
    return folder / "surroundings.py"


def is_served(shell, **options):
    """Tell whether a command is run by the warm process that is there now."""
    before = shell.process()
    done = shell.say("say", **options)
    assert done.returncode == 3, done.stderr
    return int(done.stderr) == before


def replaced(shell, before):
    until(lambda: shell.process() not in (None, before), "another warm process")
    until(lambda: gone(before), "the end of the first")
    assert is_served(shell)


def test_changed_module_is_noticed(shell, own_module):
    before = shell.start("surroundings")
    assert is_served(shell)
    # Of another length: Python itself takes a file of the same length and second for the same.
    own_module.write_text(own_module.read_text().replace("return 3", "return 99"))
    assert shell.say("say").returncode == 99
    own_module.write_text(own_module.read_text().replace("return 99", "return 3"))
    until(lambda: shell.process() not in (None, before), "another warm process")


def test_installed_package_is_noticed(shell, own_module):
    before = shell.start("surroundings")
    (own_module.parent / "other-1.0.dist-info").mkdir()
    assert not is_served(shell)
    replaced(shell, before)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PYTHONPATH", "/elsewhere"), ("PREFECT_HOME", "/else"), ("SLURM_JOB_ID", "7")],
)
def test_other_environments_have_their_own(warm_shell, name, value):
    new = os.pathsep.join(filter(None, [warm_shell.environment.get(name), value]))
    assert is_served(warm_shell)
    assert not is_served(warm_shell, env=warm_shell.environment | {name: new})


def test_another_virtual_environment_has_its_own(warm_shell, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    site = next(path for path in sys.path if path.endswith("site-packages"))
    (next(tmp_path.glob("venv/lib/*/site-packages")) / "all.pth").write_text(f"{site}\n")
    assert not is_served(warm_shell, python=python)


def test_module_of_the_working_folder_is_not_missed(warm_shell, tmp_path):
    (tmp_path / "json.py").write_text("def dumps(_): return 'own'\n")
    assert is_served(warm_shell)
    assert "own" in warm_shell.say("say", cwd=tmp_path).stdout


def test_thread_is_named_and_nothing_is_forked(shell, tmp_path):
    (tmp_path / "busy.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    shell.start("busy", PYTHONPATH=f"{shell.environment['PYTHONPATH']}{os.pathsep}{tmp_path}")
    done = shell.say("say", "--debug")
    assert done.returncode == 3
    assert "the warm process was not used: it has other threads (" in done.stderr


def test_packages_of_pipelines_leave_no_thread(user):
    command = [sys.executable, "-m", "stpipe_prefect", "warm", "--status"]
    said = subprocess.run(command, env=user, capture_output=True, text=True, check=True).stdout
    assert "(jwst, romancal;" in said
    assert psutil.Process(int(said.split()[2])).num_threads() == 1


@pytest.mark.parametrize("waits", [True, False])
def test_command_that_has_not_waited_does_not_run(warm_shell, tmp_path, waits):
    """It runs without the warm process, and would run twice."""
    (path,) = (path for path in warm_shell.folder.glob("*/*") if path.is_socket())
    process = psutil.Process(warm_shell.process())
    argument = {"function": "surroundings:run", "argv": ["", "wait", str(tmp_path / "a")]}
    module = {"module": "surroundings", "file": str(TESTS / "processes/surroundings.py")}
    more = {"environment": {}, "limits": {}, "command": module}
    before = warm_shell.warm("--status").stdout
    ours, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX) as connection:
        process.suspend()
        connection.connect(str(path))
        ask_for(connection, FUNCTION, argument, ours, **more)
        if waits:
            process.resume()
            os.kill(forked(connection).pid, signal.SIGKILL)
            assert receive(connection)[0] == {"status": -signal.SIGKILL}
    process.resume()
    assert (warm_shell.warm("--status").stdout != before) is waits
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("name", ["missing", "long" * 30])
def test_folder_where_none_can_listen_breaks_no_command(shell, tmp_path, name):
    folder = tmp_path / name
    if name != "missing":
        folder.mkdir()
    shell.environment |= {"XDG_RUNTIME_DIR": str(folder), "STPIPE_PREFECT_KEEP_WARM": "1h"}
    code = """
from stpipe_prefect.execution.processes import run_isolated, use_warm_process
use_warm_process(["misbehaving"])
print(run_isolated("misbehaving:behave", {"how": "well"}, print).outcome)
"""
    assert shell.run("-c", code).stdout.endswith("Completed\n")
    done = shell.say("end", "5")
    assert (done.returncode, done.stderr.count("\n")) == (5, 0)
    done = shell.say()
    assert (done.returncode, done.stderr.count("\n")) == (3, 2)
    assert "no warm process stays: " in done.stderr
    done = shell.warm()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "set XDG_RUNTIME_DIR to a folder" in done.stderr


def test_it_ends_when_it_has_been_idle(shell):
    process = shell.start("surroundings", idle=1)
    until(lambda: gone(process), "its end")
    assert list(shell.folder.glob("*/*")) == []


def test_commands_of_it(shell):
    assert (shell.warm("--status").returncode, shell.warm("--stop").returncode) == (1, 0)
    process = shell.start("surroundings", idle=600)
    said = shell.warm("--status").stdout
    assert said.startswith(f"warm process {process} (surroundings; {sys.executable}): 0 served")
    assert shell.warm("--mission", "lsst").stderr.startswith("error: --mission lsst: choose from")
    assert shell.warm("--idle", "soon").returncode == 2
    assert shell.warm("--idle=2h").stdout == said  # found, as it is
    assert shell.warm("--stop").stdout.startswith("stopped: ")
    until(lambda: gone(process), "its end")


def test_setting_leaves_one_behind(shell):
    """In a run that forks: it is what that forks from. Packages of pipelines take longer."""
    code = """
import sys
from stpipe_prefect.execution.processes import run_isolated, use_warm_process
use_warm_process(["surroundings", "misbehaving"])
print(run_isolated("misbehaving:behave", {"how": "well"}, print).outcome)
"""
    done = shell.run("-c", code, env=shell.environment | {"STPIPE_PREFECT_KEEP_WARM": "1h"})
    assert done.stdout.endswith("Completed\n")
    assert is_served(shell)


def test_process_of_a_run_ends_with_it(shell):
    code = """
import json, psutil
from stpipe_prefect.execution.processes import use_warm_process
use_warm_process(["surroundings"])
print(json.dumps([child.pid for child in psutil.Process().children()]))
"""
    (process,) = json.loads(shell.run("-c", code).stdout)
    until(lambda: gone(process), "its end")
    assert shell.process() is None


def test_run_whose_processes_cannot_be_forked_goes_on_without(shell, tmp_path):
    (tmp_path / "busy.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    code = f"""
import logging, sys
sys.path.append({str(tmp_path)!r})
logging.basicConfig()
from stpipe_prefect.execution.processes import run_isolated, use_warm_process
use_warm_process(["busy"])
print(run_isolated("misbehaving:behave", {{"how": "well"}}, print).outcome)
"""
    done = shell.run("-c", code)
    assert done.stdout.endswith("Completed\n")
    assert "the warm process was not used: it has other threads (" in done.stderr


def test_killed_process_of_a_run_is_replaced(shell):
    code = """
import psutil
from stpipe_prefect.execution.processes import run_isolated, use_warm_process
use_warm_process(["misbehaving"])
for _ in range(2):
    print(run_isolated("misbehaving:behave", {"how": "well"}, print).outcome)
    for child in psutil.Process().children():
        child.kill()
"""
    done = shell.run("-c", code)
    assert (done.stdout.count("Completed"), done.stderr) == (2, "")
