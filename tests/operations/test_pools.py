"""deployments/: work pools, and the limits and tags of what runs in them."""

import asyncio
import json
import re
import runpy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
IMAGE = "stpipe_prefect:0.1.0"
PUBLISHED = {  # by prefect-docker 0.7.4 and prefect-kubernetes 0.8.0
    "docker": {
        *("auto_remove", "command", "container_create_kwargs", "env", "image", "labels", "name"),
        *("image_pull_policy", "mem_limit", "memswap_limit", "network_mode", "networks"),
        *("privileged", "registry_credentials", "stream_output", "volumes"),
    },
    "kubernetes": {
        *("annotations", "cluster_config", "command", "env", "job_manifest", "labels", "name"),
        *("job_watch_timeout_seconds", "namespace", "pod_watch_timeout_seconds", "stream_output"),
    },
}
"""What a job configuration may have."""


@pytest.fixture(scope="module")
def deploy():
    return runpy.run_path(str(DEPLOYMENTS / "deploy.py"))


@pytest.fixture(scope="module")
def templates(deploy):
    return {kind: json.loads(path.read_text()) for kind, path in deploy["TEMPLATES"].items()}


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_run_chooses_neither_command_nor_environment(templates, kind):
    configuration, variables = (
        templates[kind][name] for name in ("job_configuration", "variables")
    )
    assert "env" not in configuration and variables["additionalProperties"] is False
    placeholders = re.findall(r"{{ *([a-z_]+) *}}", json.dumps(configuration))
    assert set(placeholders) == set(variables["properties"]) <= {"cpu", "memory", "seconds"}
    assert "{{" not in configuration["command"]
    assert configuration["command"].endswith("python -m stpipe_prefect.orchestration.engine")


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_template_has_what_its_worker_knows(templates, kind):
    assert templates[kind]["job_configuration"].keys() <= PUBLISHED[kind]


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_every_deployment_has_limits_that_the_pool_takes(deploy, templates, kind):
    from jsonschema import validate

    for each in deploy["described"]():
        there = deploy["in_pool"](each, kind, templates[kind])["work_pool"]
        assert there["name"] == kind
        validate(there["job_variables"], templates[kind]["variables"])
        if kind != "process":
            assert there["job_variables"]["memory"]
        assert set(each["tags"]) - {"jwst", "romancal"}  # says what kind it is


INSTALLED = [kind for kind in PUBLISHED if find_spec(f"prefect_{kind}")]


@pytest.mark.parametrize("kind", INSTALLED)
def test_worker_makes_of_the_template_what_is_meant(templates, kind, prefect_server):
    """As the workers of these packages do: each server that starts would import them."""
    worker = import_module(f"prefect_{kind}.worker")
    configured = getattr(worker, f"{kind.title()}WorkerJobConfiguration")
    given = {"memory": "8G", "seconds": 600, "cpu": 2, "env": {"CRDS_PATH": "/x"}, "image": "x"}
    made = asyncio.run(configured.from_template_and_values(templates[kind], given))
    assert "CRDS_PATH" not in made.env
    if kind == "docker":
        assert (made.mem_limit, made.memswap_limit, made.image) == ("8G", "8G", IMAGE)
        return
    job = made.job_manifest["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert (job["activeDeadlineSeconds"], container["image"]) == (600, IMAGE)
    assert container["resources"]["limits"] == {"memory": "8G"}
    assert "CRDS_PATH" not in json.dumps(made.job_manifest)
