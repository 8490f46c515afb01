"""``make up`` and ``make down`` where something is in their way; no server is started."""

import fcntl
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from answering import answering

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
NOBODY = 65534


@pytest.fixture(scope="module")
def local():
    return SimpleNamespace(**runpy.run_path(str(DEPLOYMENTS / "local.py")))


@pytest.fixture(autouse=True)
def proxies(monkeypatch):
    """Put back what `make up` changes for itself."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


def refusal(local, *arguments):
    with pytest.raises(SystemExit) as caught:
        local.main(arguments)
    return caught.value.code


@pytest.mark.parametrize("port", ["80800", "0", "-1", "http"])
def test_port_that_is_none(local, tmp_path, capsys, port):
    assert refusal(local, "up", "--state", str(tmp_path), f"--port={port}") == 2
    assert f"expected a number from 1 to 65535, not '{port}'" in capsys.readouterr().err


def test_port_that_is_taken(local, tmp_path):
    with answering({}) as port:
        said = refusal(local, "up", "--state", str(tmp_path), f"--port={port}")
    assert said == f"port {port} is taken: choose another with PORT=..."


@pytest.mark.parametrize("what", ["up", "down"])
def test_state_of_another_user(local, what):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "lock").touch(0o644)
        said = as_nobody(lambda: refusal(local, what, "--state", folder))
    assert said == f"{folder}/lock: Permission denied"


def as_nobody(ask):
    """Ask as a user who may write nothing here; only root can."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    os.seteuid(NOBODY)
    try:
        return ask()
    finally:
        os.seteuid(0)


def test_process_of_another_user(local, tmp_path, monkeypatch):
    def denied(process):
        raise local.psutil.AccessDenied(process.pid)

    monkeypatch.setattr(local.psutil.Process, "terminate", denied)
    with (tmp_path / "server.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        program = [sys.executable, "-c", "input()"]
        with subprocess.Popen(program, stdin=subprocess.PIPE) as process:
            (tmp_path / "server.pid").write_text(str(process.pid))
            said = refusal(local, "down", "--state", str(tmp_path))
            assert process.poll() is None
            process.communicate(b"\n")
    assert said == f"{tmp_path}: process {process.pid} is another user's"


def test_second_command_waits_for_the_first(local, tmp_path, capsys):
    with (tmp_path / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waits = threading.Thread(target=local.main, args=(["down", "--state", str(tmp_path)],))
        waits.start()
        waits.join(0.3)
        assert waits.is_alive()
    waits.join()
    assert capsys.readouterr().err.startswith("waiting for another make up or make down")


def test_server_without_its_web_page(local, tmp_path):
    server = SimpleNamespace(is_running=True, log=tmp_path / "server.log")
    with answering({"/": 404, "/api/health": 200}) as port:
        page = f"http://127.0.0.1:{port}"
        with pytest.raises(SystemExit, match="runs, but has no web page"):
            local._wait_for(server, page)


def test_proxy_that_cannot_be_asked(local, tmp_path, monkeypatch):
    """Others are asked for what is elsewhere only, here as in the command."""
    monkeypatch.setattr(os, "environ", os.environ | {"ALL_PROXY": "socks5://127.0.0.1:9"})
    monkeypatch.setitem(sys.modules, "socksio", None)
    assert "asks for SOCKS" in refusal(local, "up", "--state", str(tmp_path))


def test_password_is_printed_once_and_kept_from_others(local, tmp_path, capsys):
    on = local.Setup(4200, str(tmp_path), "on")
    first = local._prefect(on, tmp_path)["PREFECT_SERVER_API_AUTH_STRING"]
    assert f"user and password: {first}  (kept in " in capsys.readouterr().out
    assert len(first) > 30 and first.startswith("prefect:")
    assert local._prefect(on, tmp_path)["PREFECT_API_AUTH_STRING"] == first
    assert capsys.readouterr().out == ""
    (tmp_path / "credentials").chmod(0o644)
    with pytest.raises(SystemExit, match="credentials is not yours alone: remove it"):
        local._prefect(on, tmp_path)


def test_password_of_a_running_server_is_not_made_anew(local, tmp_path, capsys):
    (tmp_path / "setup.json").write_text('{"port": 4200, "archive": "/a", "auth": "on"}')
    with (tmp_path / "server.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = refusal(local, "up", "--state", str(tmp_path))
    assert said.startswith(f"{tmp_path}/credentials is gone: make down")
    assert capsys.readouterr().out == ""


def test_without_a_password_none_of_another_server_is_asked_for(local, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "another:one")
    off = local.Setup(4200, str(tmp_path), "off")
    assert "PREFECT_SERVER_API_AUTH_STRING" not in local._inherited() | local._prefect(
        off, tmp_path
    )


def test_what_is_not_installed_is_not_deployed(monkeypatch, capsys):
    deploy = runpy.run_path(str(DEPLOYMENTS / "deploy.py"))
    assert "romancal" in deploy["offered"]()[0]
    monkeypatch.setitem(sys.modules, "romancal", None)
    here, missing = deploy["offered"]()
    assert "calwebb-detector1" in here and not [name for name in here if "roman" in name]
    assert missing == {"romancal": ["romancal", "watch-context-roman", "roman-elp", "roman-mos"]}
