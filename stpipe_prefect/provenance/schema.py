"""What a provenance record has to hold for the rest of the package to rely on.

docs/provenance.md describes all its fields. Here is what is read again; others may be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .fingerprint import FileContent


@dataclass(frozen=True)
class _Run:
    pipeline: str = ""
    started: str = ""
    bases: list[str] = field(default_factory=list)
    log: str = ""
    host: str = ""
    flow_run: str = ""
    seconds: float = 0
    peak_memory_mb: float = 0


@dataclass(frozen=True)
class _Parameter:
    step: str
    parameter: str
    value: Any
    source: str
    files: list[FileContent] = field(default_factory=list)


@dataclass(frozen=True)
class _Reference:
    step: str
    type: str
    file: str
    sha1: str = ""
    path: str = ""
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True)
class _Step:
    step: str
    outcome: str
    seconds: float = 0


@dataclass(frozen=True)
class _Content:
    schema: str
    fingerprint: str
    run: _Run
    pipeline: str
    observatory: str
    context: str
    server: str
    request: str
    inputs: list[FileContent]
    parameters: list[_Parameter]
    references: list[_Reference]
    software: dict[str, str]
    steps: list[_Step]
    products: list[FileContent]
    opaque: list[str] = field(default_factory=list)


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_Content)


def mismatch(text: str) -> str:
    """Say what a record lacks or has of another type; nothing if nothing is wrong."""
    from pydantic import ValidationError

    try:
        _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}".removeprefix(": ")
    return ""
