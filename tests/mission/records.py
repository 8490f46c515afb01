"""Records of runs that nobody ran: written by code, or made by varying those of a real run."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import (
    LOG_SUFFIX,
    LOOKS_SUFFIX,
    SUFFIX,
    Record,
    log_path,
    looks_path,
    record_path,
)

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
HEADER = {"instrument": "NIRCAM", "detector": "NRCB1", "filter": "F200W"}
HEADER |= {"exposure_type": "NRC_IMAGE", "target": "M-42"}


def write_record(
    folder: Path,
    exposure: str,
    *,
    pipeline: str = "calwebb_detector1",
    read: str = "uncal",
    made: str = "rate",
    statistics: dict[str, float] | None = None,
    header: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    references: dict[str, str] | None = None,
    looks: dict[str, Any] | None = None,
    steps: list[dict[str, Any]] | None = None,
    caveats: list[dict[str, Any]] | None = None,
    log: str = "",
    after: float = 0.0,
) -> Path:
    """Write the record of one run, with its log and quick looks."""
    product = f"{exposure}_{made}.fits"
    path = record_path(folder, f"{exposure}_{read}.{pipeline}")
    made_from = Dependencies(
        pipeline=f"jwst.pipeline.{pipeline}",
        observatory="jwst",
        context="jwst_0001.pmap",
        server="",
        request="",
        inputs=[_file(folder / f"{exposure}_{read}.fits")],
        parameters=[
            {"step": "jump", "parameter": name, "value": value, "source": "step code"}
            for name, value in (parameters or {}).items()
        ],
        references=[
            {"step": "flat_field", "type": kind, "file": name}
            for kind, name in (references or {}).items()
        ],
        software={"jwst": "3.0.0"},
    )
    started = (BEGUN + timedelta(seconds=after)).isoformat(timespec="seconds")
    run = {"pipeline": pipeline, "started": started, "seconds": 5.0, "peak_memory_mb": 400.0}
    record = Record(
        path,
        made_from,
        run | {"host": "here", "log": log_path(path).name, "outcome": ""},
        steps or [{"step": "jump", "outcome": "Completed", "seconds": 5.0}],
        [_file(folder / product)],
        caveats=caveats or [],
        statistics={product: statistics} if statistics else {},
        headers={product: HEADER | (header or {})},
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(record.as_text())
    log_path(path).write_text(log)
    if looks:
        looks_path(path).write_text(json.dumps({product: looks}))
    return path


def vary(real: Path, exposure: str, count: int, out: Path) -> None:
    """Write the records, logs and quick looks of many exposures after those of a real one."""
    out.mkdir(parents=True, exist_ok=True)
    suffixes = (SUFFIX, LOG_SUFFIX, LOOKS_SUFFIX)
    files = [path for path in real.glob(f"{exposure}*") if path.name.endswith(suffixes)]
    assert len(files) >= 6
    texts = {path.name: path.read_text() for path in files}
    chance = random.Random(1)
    for number in range(count):
        name = f"jw{number // 100 + 1000:05d}{number % 100:03d}001_02101_00001_nrcb1"
        detector = f"NRCB{1 + number % 4}"
        begun = BEGUN + timedelta(seconds=10 * (number // 2) + chance.random())
        for file, text in texts.items():
            changed = text.replace(exposure, name)
            if file.endswith(SUFFIX):
                content = json.loads(changed)
                content["run"]["started"] = begun.isoformat(timespec="seconds")
                content["run"]["seconds"] *= chance.uniform(0.8, 1.2)
                for header in content["headers"].values():
                    header["detector"] = detector
                    header["s_region"] = _moved(header["s_region"], chance)
                for found in content["statistics"].values():
                    for key, value in found.items():
                        found[key] = value * chance.gauss(1, 0.02)
                changed = json.dumps(content)
            (out / file.replace(exposure, name)).write_text(changed)


def rows_of(page: Path) -> dict[str, Any]:
    """Read the table of a report as a browser does, by name of the input."""
    text = page.read_text()
    start = text.index('id="data">') + len('id="data">')
    data = text[start : text.index("</script>", start)]
    return {row["name"]: row for row in json.loads(data, parse_constant=_refuse)}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _moved(region: str, chance: random.Random) -> str:
    by = chance.uniform(-0.1, 0.1)
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]) + by:.6f}", region)


def _file(path: Path) -> FileContent:
    return FileContent.from_json(
        {"path": str(path), "size": 1, "mtime_ns": 1, "ctime_ns": 1, "sha256": "0"}
    )
