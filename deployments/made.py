"""Whether the deployments of ``make up`` are there as they would be made now."""

from __future__ import annotations

import sysconfig
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def state_of(environment: Mapping[str, str]) -> str:
    """Digest this project's files, what is installed, and the settings of deployments."""
    files = (
        file
        for name in ("deployments", "flows", "stpipe_prefect", "pyproject.toml")
        for file in (PROJECT / name, *(PROJECT / name).rglob("*"))
        if file.suffix in (".json", ".py", ".toml", ".yaml")
    )
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    installed = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    settings = [each for each in environment.items() if each[0].startswith("STPIPE_PREFECT_")]
    return sha256(repr((sorted(known), installed, sorted(settings))).encode()).hexdigest()


def number_of_deployments(environment: Mapping[str, str]) -> int:
    """Ask the server how many there are."""
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}/deployments/count",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    if credentials := environment.get("PREFECT_API_AUTH_STRING"):
        token = b64encode(credentials.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.read())
