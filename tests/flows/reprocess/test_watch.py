"""The context that reprocessing follows, while the CRDS server delivers and takes back others."""

import shutil

import pytest
from crds.core import utils
from loopback import LoopbackCrds, corrupted
from machine import until

from flows.reprocess.watch import watch_context
from stpipe_prefect.exceptions import ContextError

OLD, NEW = "jwst_0001.pmap", "jwst_0002.pmap"


@pytest.fixture
def crds(small, prefect_server, tmp_path, monkeypatch):
    """A CRDS server, an empty cache, and a Prefect server that remembers no context."""
    from prefect.variables import Variable

    served = shutil.copytree(small.crds_path / "mappings", tmp_path / "served/mappings").parent
    shutil.copytree(small.crds_path / "config", served / "config")
    monkeypatch.delenv("CRDS_CONTEXT", raising=False)
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "20")
    utils.clear_function_caches()
    Variable.unset("crds_context_jwst")
    with LoopbackCrds(served).running() as server:
        monkeypatch.setenv("CRDS_SERVER_URL", server.url)
        server.build = OLD
        yield server
    utils.clear_function_caches()


def watched(**options):
    """Say what a run ends with."""
    state = watch_context(**options, return_state=True)
    state.result()
    return state.message


def events():
    """List the changes that the server has heard of since it was started."""
    from prefect.client.orchestration import get_client

    query = {"filter": {"event": {"name": ["crds.context.changed"]}}, "limit": 50}
    with get_client(sync_client=True) as client:
        found = client._client.post("/events/filter", json=query).json()["events"]
    return {each["id"]: each["payload"] for each in found}


def test_delivery_and_rollback_are_noticed_and_the_build_context_is_not_followed(crds):
    before = events()
    assert watched() == OLD
    crds.says["operational_context"] = NEW
    assert watched() == f"{OLD} → {NEW}"
    assert watched() == NEW
    crds.says["operational_context"] = OLD
    assert watched() == f"{NEW} → {OLD}"

    def heard():
        new = [said for number, said in events().items() if number not in before]
        return len(new) == 2 and new

    changes = until(heard, "events of both changes")
    assert {"before": OLD, "now": NEW} in changes and {"before": NEW, "now": OLD} in changes


def test_what_is_followed_can_be_said(crds, monkeypatch):
    crds.says["operational_context"] = NEW
    assert watched(crds_context="build") == OLD
    assert watched(crds_context=OLD) == OLD
    monkeypatch.setenv("CRDS_CONTEXT", OLD)  # of the worker
    assert watched() == OLD
    assert watched(crds_context="latest") == f"{OLD} → {NEW}"
    with pytest.raises(ContextError, match=r"expected a name such as .*, latest or build"):
        watch_context(crds_context="newest")


@pytest.mark.parametrize("bad", ["marked", "damaged", "absent"])
def test_bad_context_is_not_taken_for_the_one_to_use(crds, bad):
    assert watched() == OLD
    crds.says["operational_context"] = NEW
    if bad == "marked":
        crds.says["bad_files_list"] = ["jwst_nircam_gain_0002.rmap"]
    elif bad == "damaged":
        crds.manners["jwst_nircam_gain_0002.rmap"] = corrupted
    else:
        crds.file("jwst_nircam_gain_0002.rmap").unlink()
    with pytest.raises(ContextError, match=r"jwst_nircam_gain_0002\.rmap"):
        watched()
    crds.says["operational_context"] = OLD
    assert watched() == OLD  # no change


def test_each_observatory_may_have_a_server_of_its_own(crds, monkeypatch):
    monkeypatch.setenv("CRDS_SERVER_URL_JWST", crds.url)
    monkeypatch.setenv("CRDS_SERVER_URL", "http://localhost:9")
    assert watched() == OLD
    monkeypatch.setenv("CRDS_CONTEXT", "roman_0002.pmap")  # counts for Roman
    assert watched() == OLD
