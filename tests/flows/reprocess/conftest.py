"""An archive calibrated under the first of two contexts, and the command that keeps it up."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.io import fits

CONTEXTS = ("jwst_0001.pmap", "jwst_0002.pmap")


@dataclass(frozen=True)
class Archive:
    """Two programs: of one the second context changes the exposure, of the other none."""

    folder: Path

    @property
    def image(self):
        return self.folder / "jw01234" / "jw01234001001_02101_00001_nrcb1_uncal.fits"

    @property
    def dark(self):
        return self.folder / "jw01235" / "jw01235001001_02101_00001_nrcb1_uncal.fits"

    def times(self):
        """When each file was written; hidden folders are of runs that did not end well."""
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def environment(user, small):
    return user | {"CRDS_PATH": str(small.crds_path)}


@pytest.fixture(scope="session")
def command(environment):
    """Run the command as a user does."""

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "flows.reprocess", *map(str, arguments)],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def calibrated(small, command, made_once):
    """Made by the command itself, once for all processes of tests; not to be written into."""

    def calibrate(folder):
        archive = Archive(folder)
        for path, kind in ((archive.image, "NRC_IMAGE"), (archive.dark, "NRC_DARK")):
            path.parent.mkdir(parents=True)
            with fits.open(small.program.exposures[0]) as hdus:
                hdus[0].header["EXP_TYPE"] = kind
                hdus[0].header["FILENAME"] = path.name
                hdus.writeto(path)
        done = command(folder)
        assert done.returncode == 0, done.stderr

    return Archive(made_once("calibrated", calibrate))


@pytest.fixture
def archive(calibrated, tmp_path):
    """A copy of it, to be worked on."""
    return Archive(shutil.copytree(calibrated.folder, tmp_path / "archive"))


@pytest.fixture
def crds(small, monkeypatch):
    """The small cache, for what is done in this process."""
    from crds.core import utils

    for name in ("CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))
    utils.clear_function_caches()
    yield
    utils.clear_function_caches()
