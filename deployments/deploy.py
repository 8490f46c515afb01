"""Set up a Prefect server: work pool, deployments, automations. Run again, it updates them.

``python deployments/deploy.py`` asks the server in ``PREFECT_API_URL``. What Prefect says meanwhile
goes to standard error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

DEPLOYMENTS = Path(__file__).resolve().with_name("prefect.yaml")
TEMPLATE = DEPLOYMENTS.with_name("work-pool.json")
"""How workers start runs. It has no variables, and above all no ``env``: with one, even a literal
one, Prefect lets every run set environment variables, and with them what it may read and write."""

POOL = "process"


def create_pool() -> None:
    """Create the work pool, or bring its job template up to date; its limits stay."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists

    template = json.loads(TEMPLATE.read_text())
    with get_client(sync_client=True) as client:
        try:
            pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))


def offered() -> tuple[list[str], dict[str, list[str]]]:
    """Tell which deployments can run here, and by package the others, for want of it.

    The packages of its missions are tags of a deployment; it needs one of them.
    """
    here: list[str] = []
    missing: dict[str, list[str]] = {}
    described: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]
    for each in described:
        present = [package for package in each["tags"] if find_spec(package)]
        (here if present else missing.setdefault(each["tags"][0], [])).append(each["name"])
    return here, missing


def deploy(names: list[str]) -> int:
    """Create deployments, or bring them up to date; gives Prefect's exit code."""
    file = DEPLOYMENTS.relative_to(DEPLOYMENTS.parents[1])
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", file]
    chosen = [word for name in names for word in ("--name", name)]
    done = subprocess.run(
        [*command, *chosen], cwd=DEPLOYMENTS.parents[1], stdout=sys.stderr, check=False
    )
    return done.returncode


def main() -> None:
    """Run the command."""
    from flows.automations import crashed_runs, create

    names, missing = offered()
    create_pool()
    if names and (code := deploy(names)):
        raise SystemExit(code)
    for automation in crashed_runs():
        create(automation)
    for package, left_out in missing.items():
        print(f"not deployed, as {package} is not installed: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
