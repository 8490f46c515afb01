"""What a provenance record must have to be one; see docs/provenance.md for the meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .fingerprint import FileContent


@dataclass(frozen=True)
class _Run:
    pipeline: str = ""
    started: str = ""
    outcome: str = ""
    bases: list[str] = field(default_factory=list)
    log: str = ""
    host: str = ""
    flow_run: str = ""
    seconds: float = 0
    peak_memory_mb: float = 0
    shared: str = ""


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
    reason: str = ""
    model: str = ""


@dataclass(frozen=True)
class _Code:
    name: str
    version: str
    sha256: str
    steps: list[str]


@dataclass(frozen=True)
class _Caveat:
    caveat: str
    reason: str
    step: str = ""
    product: str = ""
    input: str = ""


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
    code: list[_Code] | None = None
    insertions: list[dict[str, str]] = field(default_factory=list)
    caveats: list[_Caveat] = field(default_factory=list)
    statistics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    headers: dict[str, dict[str, str | float]] = field(default_factory=dict)


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
