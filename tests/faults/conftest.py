"""The command, from raw exposure to calibrated image, ended at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "flows.calwebb"]


@dataclass(frozen=True)
class Calibration:
    """How to calibrate one exposure, and what comes of it when nobody disturbs."""

    exposure: Path
    environment: dict[str, str]
    undisturbed: Path
    seconds: float

    def run(self, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [*COMMAND, str(self.exposure), "--output-dir", str(out), *options],
            env=self._environment(out),
            capture_output=True,
            text=True,
            check=False,
        )

    def end(self, out: Path, number: int, after: float) -> None:
        """Run the command, and send it a signal some seconds after it has begun to calibrate."""
        with subprocess.Popen(
            [*COMMAND, str(self.exposure), "--output-dir", str(out), "--checkpoint", "jump"],
            env=self._environment(out) | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stdout.readline().startswith("run ")
            time.sleep(after)
            process.send_signal(number)
            process.communicate(timeout=60)

    def checkpoints(self, out: Path) -> list[Path]:
        """List what there is to go on from."""
        return list(self._store(out).glob("*/checkpoint.json"))

    def left_over(self, out: Path) -> list[Path]:
        """List what is neither product nor record nor checkpoint."""
        return [*out.glob(".*"), *self._store(out).glob(".*")]

    def steps(self, out: Path, pipeline: str) -> dict[str, str]:
        """Outcome of each step, from the record."""
        (record,) = out.glob(f"*.{pipeline}.provenance.json")
        return {row["step"]: row["outcome"] for row in json.loads(record.read_text())["steps"]}

    def _environment(self, out: Path) -> dict[str, str]:
        return self.environment | {"STPIPE_PREFECT_CHECKPOINTS": str(self._store(out))}

    @staticmethod
    def _store(out: Path) -> Path:
        return out.with_name(f"{out.name}-checkpoints")


@pytest.fixture(scope="session")
def calibration(user, small, tmp_path_factory) -> Calibration:
    environment = user | {"CRDS_PATH": str(small.crds_path)}
    out = tmp_path_factory.mktemp("undisturbed")
    found = Calibration(small.program.exposures[0], environment, out, 0.0)
    done = found.run(out)
    assert done.returncode == 0, done.stderr
    seconds = sum(
        json.loads(path.read_text())["run"]["seconds"] for path in out.glob("*.provenance.json")
    )
    return Calibration(found.exposure, environment, out, seconds)


@pytest.fixture(scope="session")
def assert_same_products() -> Callable[[Path, Path], None]:
    """Check that two folders hold products of the same names with the same arrays."""
    from astropy.io import fits

    def check(one: Path, other: Path) -> None:
        names = sorted(path.name for path in one.iterdir())
        assert names == sorted(path.name for path in other.iterdir())
        for name in names:
            if not name.endswith(".fits"):
                continue
            with fits.open(one / name) as mine, fits.open(other / name) as yours:
                assert [hdu.name for hdu in mine] == [hdu.name for hdu in yours]
                for a, b in zip(mine, yours, strict=True):
                    if a.name != "ASDF" and a.data is not None and a.data.dtype.names is None:
                        assert np.array_equal(a.data, b.data, equal_nan=a.data.dtype.kind == "f")

    return check
