"""Set up a Prefect server: work pool, deployments, automations. Run again, it updates them.

``python deployments/deploy.py`` asks the server in ``PREFECT_API_URL``. What Prefect says meanwhile
goes to standard error. With ``--pool docker`` or ``--pool kubernetes``, each run gets a container.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

DEPLOYMENTS = Path(__file__).resolve().with_name("prefect.yaml")
TEMPLATES = {
    "process": DEPLOYMENTS.with_name("work-pool.json"),
    "docker": DEPLOYMENTS.with_name("docker-pool.json"),
    "kubernetes": DEPLOYMENTS.with_name("kubernetes-pool.json"),
}
"""How workers start runs, by type of the work pool, which is its name, too. None has a variable for
the command, and above all no ``env``: with one, even a literal one, Prefect lets every run set
environment variables, and with them what it may read and write."""

MISSIONS = ("jwst", "romancal")
"""Packages that deployments name among their tags."""


def create_pool(kind: str) -> dict[str, Any]:
    """Create the work pool, or bring its job template up to date; its limits stay."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists

    template: dict[str, Any] = json.loads(TEMPLATES[kind].read_text())
    with get_client(sync_client=True) as client:
        try:
            pool = WorkPoolCreate(name=kind, type=kind, base_job_template=template)
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            client.update_work_pool(kind, WorkPoolUpdate(base_job_template=template))
    return template


def described() -> list[dict[str, Any]]:
    """Read the deployments there are."""
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]
    return found


def offered() -> tuple[list[str], dict[str, list[str]]]:
    """Tell which deployments can run here, and by package the others, for want of it.

    The packages of its missions are tags of a deployment; it needs one of them.
    """
    here: list[str] = []
    missing: dict[str, list[str]] = {}
    for each in described():
        packages = [tag for tag in each["tags"] if tag in MISSIONS]
        present = any(find_spec(package) for package in packages)
        (here if present else missing.setdefault(packages[0], [])).append(each["name"])
    return here, missing


def in_pool(deployment: dict[str, Any], kind: str, template: dict[str, Any]) -> dict[str, Any]:
    """Put a deployment into a work pool, with those job variables that its template has."""
    known = template["variables"]["properties"]
    variables = deployment["work_pool"]["job_variables"]
    own = {name: value for name, value in variables.items() if name in known}
    return {**deployment, "work_pool": {"name": kind, "job_variables": own}}


def deploy(names: list[str], kind: str, template: dict[str, Any]) -> int:
    """Create deployments, or bring them up to date; gives Prefect's exit code."""
    chosen = [in_pool(each, kind, template) for each in described() if each["name"] in names]
    with TemporaryDirectory() as folder:
        file = Path(folder) / DEPLOYMENTS.name
        file.write_text(yaml.safe_dump({"deployments": chosen}, sort_keys=False))
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(
            [*command, "--prefect-file", str(file)],
            cwd=DEPLOYMENTS.parents[1],
            stdout=sys.stderr,
            check=False,
        )
    return done.returncode


def main() -> None:
    """Run the command."""
    from flows.automations import crashed_runs, create

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pool", choices=TEMPLATES, default="process", help="(default: process)")
    kind = parser.parse_args().pool
    names, missing = offered()
    template = create_pool(kind)
    if names and (code := deploy(names, kind, template)):
        raise SystemExit(code)
    for automation in crashed_runs():
        create(automation)
    for package, left_out in missing.items():
        print(f"not deployed, as {package} is not installed: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
