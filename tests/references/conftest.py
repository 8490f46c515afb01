"""A CRDS cache of one's own, in this process."""

import shutil

import pytest
from crds.core import utils


@pytest.fixture
def crds_path(small, tmp_path, monkeypatch):
    """A copy of the small cache, and no memory of another one."""
    folder = shutil.copytree(small.crds_path, tmp_path / "crds")
    monkeypatch.setenv("CRDS_PATH", str(folder))
    for name in ("CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    utils.clear_function_caches()
    yield folder
    utils.clear_function_caches()
