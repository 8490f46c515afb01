"""A CRDS cache of one's own, in this process."""

import shutil

import pytest
from crds.core import utils
from loopback import LoopbackCrds


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


@pytest.fixture
def server(small):
    """A CRDS server of what the small cache holds."""
    with LoopbackCrds(small.crds_path).running() as running:
        yield running


@pytest.fixture
def cold(server, tmp_path, monkeypatch):
    """An empty cache, and a server to fill it, which is waited for 2 s."""
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "cold"))
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("CRDS_CONTEXT", raising=False)
    utils.clear_function_caches()
    yield tmp_path / "cold"
    utils.clear_function_caches()
