"""Commands that a warm process runs are as they would be without it."""

import json
import os
import resource
import signal
import subprocess
import sys

import psutil
import pytest
from machine import until
from shell import gone

from stpipe_prefect.warm.place import folder


def popen(shell, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "surroundings", *map(str, arguments)],
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def started(process, file):
    """Give the number of the process that does the work of a command that waits."""
    return int(until(lambda: file.exists() and file.read_text(), "the command"))


def test_surroundings_are_those_of_a_new_process(warm_shell, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def changed():
        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    environment = {k: v for k, v in warm_shell.environment.items() if k != "USER"}
    environment |= {"TZ": "Pacific/Auckland", "CRDS_PATH": "/näher", "OMP_NUM_THREADS": "7"}
    options = {"cwd": tmp_path, "input": "ä, read", "env": environment, "preexec_fn": changed}
    warm = warm_shell.say("say", "a b", "ü", **options)
    cold = warm_shell.say(
        "say", "a b", "ü", **options | {"env": environment | {"SLURM_JOB_ID": "1"}}
    )
    assert int(warm.stderr) == warm_shell.process() != int(cold.stderr)
    assert warm.returncode == cold.returncode == 3
    expected = json.loads(cold.stdout)
    del expected["environment"]["SLURM_JOB_ID"]
    assert json.loads(warm.stdout)["environment"] == expected["environment"]
    assert json.loads(warm.stdout) == expected


def test_streams_that_are_closed_stay_so(warm_shell):
    command = f"{sys.executable} -m surroundings <&- 2>&-"
    done = subprocess.run(
        command, shell=True, env=warm_shell.environment, stdout=subprocess.PIPE, check=False
    )
    said = json.loads(done.stdout)
    assert (said["input"], said["no_errors"], done.returncode) == (None, True, 3)


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("end", "0"), 0, ""),
        (("end", "64"), 64, ""),
        (("end", "too bad"), 1, "too bad\n"),
        (("die",), -signal.SIGKILL, ""),
        (("raise",), 1, "RuntimeError: cut short\n"),
    ],
)
def test_exit_codes(warm_shell, arguments, status, error):
    done = warm_shell.say(*arguments)
    assert done.returncode == status
    assert done.stderr.endswith(error)


def test_signals_are_passed_on(warm_shell, tmp_path):
    with popen(warm_shell, "wait", tmp_path / "a", "handle") as process:
        started(process, tmp_path / "a")
        process.terminate()
        assert process.wait() == 17
    with popen(warm_shell, "wait", tmp_path / "b") as process:
        worker = started(process, tmp_path / "b")
        process.send_signal(signal.SIGTSTP)
        until(lambda: psutil.Process(worker).status() == psutil.STATUS_STOPPED, "its stop")
        process.send_signal(signal.SIGCONT)
        until(lambda: psutil.Process(worker).status() != psutil.STATUS_STOPPED, "its going on")
        process.send_signal(signal.SIGHUP)
        assert process.wait() == -signal.SIGHUP
        assert gone(worker)


def test_killed_command_takes_its_process_with_it(warm_shell, tmp_path):
    with popen(warm_shell, "wait", tmp_path / "a") as process:
        worker = started(process, tmp_path / "a")
        assert worker != process.pid
        process.kill()
    until(lambda: gone(worker), "its end")


def test_killed_warm_process_is_said_in_a_line(shell, tmp_path):
    warm = shell.start("surroundings")
    with popen(shell, "wait", tmp_path / "a") as process:
        worker = started(process, tmp_path / "a")
        os.kill(warm, signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "the warm process was killed, and this command with it" in errors
    until(lambda: gone(worker), "its end")
    assert shell.say("end", "5").returncode == 5  # without one, as ever


def test_nothing_is_left_of_many_commands(warm_shell):
    warm_shell.say("end", "0")
    process = psutil.Process(warm_shell.process())
    before = process.memory_info().rss, process.num_fds()
    for _ in range(50):
        assert warm_shell.say("end", "0").returncode == 0
    assert process.memory_info().rss < 1.01 * before[0]
    assert process.num_fds() == before[1]
    assert process.children() == []
    assert process.num_threads() == 1
    assert len(list(warm_shell.folder.glob("*/*"))) == 3  # its socket, lock and log


def test_folder_of_others_is_not_used(shell, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shell.folder))
    folder(make=True).chmod(0o755)
    assert shell.say("end", "5").returncode == 5
    done = shell.warm()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not a folder of yours alone: remove it" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_is_not_served(shell):
    shell.start("surroundings")
    (path,) = (path for path in shell.folder.glob("*/*") if path.is_socket())
    closed = [each for each in path.parents if not each.stat().st_mode & 0o001]
    for each in (path, *closed):
        each.chmod(0o777)  # if that were forgotten
    code = f"""
import os, socket
os.setgroups([])
os.setuid(12345)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({str(path)!r})
    print(connection.recv(1))
"""
    said = shell.run("-c", code).stdout
    for each in closed:
        each.chmod(0o700)  # else it could not be stopped
    assert said == "b''\n"
    path.parent.chmod(0o700)
