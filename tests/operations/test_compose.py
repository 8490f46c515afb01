"""docker/: what can be judged of it without a container engine."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from answering import answering
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "PREFECT_CREDENTIALS", "EXPOSURES")


@pytest.fixture
def config(tmp_path):
    """Have compose read the file, with what docker/.env says."""

    def config(**variables):
        env = tmp_path / "env"
        template = (ROOT / "docker/env.example").read_text()
        env.write_text("\n".join([template, *(f"{k}={v}" for k, v in variables.items())]))
        return subprocess.run(
            [
                PROGRAMS / "docker-compose",
                *("--env-file", env, "--file", ROOT / "docker/compose.yaml", "config"),
            ],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    return config


def test_compose_file_is_valid(config):
    done = config(**dict.fromkeys(SECRETS, "/given"))
    assert (done.returncode, done.stderr) == (0, "")
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) >= {"postgres", "redis", "migrate", "server", "services", "worker"}


def test_nothing_is_reached_from_elsewhere(config):
    described = yaml.safe_load(config(**dict.fromkeys(SECRETS, "/given")).stdout)
    ports = [
        port for service in described["services"].values() for port in service.get("ports", [])
    ]
    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert all("limits" in each["deploy"]["resources"] for each in described["services"].values())


@pytest.fixture
def services(config):
    described = config(**dict.fromkeys(SECRETS, "/given"))
    return yaml.safe_load(described.stdout)["services"]


def test_database_is_asked_as_its_clients_do(services):
    """Over the socket it answers while the image still sets it up, and then goes once more."""
    test = services["postgres"]["healthcheck"]["test"]
    assert test[test.index("--host") + 1] == "127.0.0.1"
    assert services["migrate"]["restart"].startswith("on-failure")


@pytest.mark.parametrize(("page", "code"), [(200, 0), (404, 1)])
def test_server_without_its_web_page_is_not_healthy(services, monkeypatch, page, code):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # of a container engine's settings
    _, *command = services["server"]["healthcheck"]["test"]
    with answering({"/api/ready": 200, "/": page}) as port:
        here = [sys.executable, *(word.replace("4200", str(port)) for word in command[1:])]
        done = subprocess.run(here, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_secrets_have_no_defaults(config, missing):
    done = config(**{name: "/given" for name in SECRETS if name != missing})
    assert done.returncode != 0
    assert f'"{missing}"' in done.stderr or missing in done.stderr


def test_dockerfile_keeps_to_good_practice():
    done = subprocess.run(
        [PROGRAMS / "hadolint", ROOT / "docker/Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_pinned_is_what_is_asked_for():
    lines = (ROOT / "docker/constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [
        Requirement(text)
        for texts in (
            project["dependencies"],
            *(extras[name] for name in ("jwst", "romancal", "dask", "server")),
        )
        for text in texts
    ]
    wrong = [str(a) for a in asked if pinned.get(a.name.lower(), "0") not in a.specifier]
    assert wrong == []
