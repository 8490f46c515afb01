"""Which context a run uses."""

import os

import crds
import pytest

from stpipe_prefect.exceptions import ContextError
from stpipe_prefect.references.context import (
    CONTEXT_VARIABLE,
    pinned_context,
    resolve_context,
)
from stpipe_prefect.references.server import configured_server


def test_operational_context_unless_another_is_named(crds_path, monkeypatch):
    assert resolve_context("jwst") == "jwst_0001.pmap"
    assert resolve_context("jwst", "jwst_0002.pmap") == "jwst_0002.pmap"
    monkeypatch.setenv(CONTEXT_VARIABLE, "jwst_0002.pmap")
    with pinned_context("jwst") as context:
        assert context == "jwst_0002.pmap"
    with pinned_context("jwst", "jwst_0001.pmap") as context:
        assert context == "jwst_0001.pmap"
    assert os.environ[CONTEXT_VARIABLE] == "jwst_0002.pmap"


def test_no_server_no_network(crds_path):
    assert configured_server() is None


def test_pinned_context_is_what_crds_uses_and_ends_with_the_block(crds_path):
    with pinned_context("jwst", "jwst_0002.pmap") as outer:
        assert outer == crds.get_context_name("jwst") == os.environ[CONTEXT_VARIABLE]
        with pinned_context("jwst", "jwst_0001.pmap") as inner:
            assert inner == crds.get_context_name("jwst") == "jwst_0001.pmap"
        assert crds.get_context_name("jwst") == "jwst_0002.pmap"
    assert CONTEXT_VARIABLE not in os.environ
    assert crds.get_context_name("jwst") == "jwst_0001.pmap"


def test_pin_ends_with_a_failing_block(crds_path):
    with pytest.raises(ZeroDivisionError), pinned_context("jwst", "jwst_0002.pmap"):
        raise ZeroDivisionError
    assert CONTEXT_VARIABLE not in os.environ


def test_absent_context_is_named_with_those_at_hand(crds_path):
    with pytest.raises(ContextError) as caught:
        resolve_context("jwst", "jwst_0009.pmap")
    assert str(caught.value) == (
        f"Context jwst_0009.pmap is not in the CRDS cache {crds_path}; "
        "it holds jwst_0001.pmap, jwst_0002.pmap"
    )


@pytest.mark.parametrize("name", ["0002", "jwst_0002", "latest"])
def test_other_words_are_no_context(crds_path, name):
    with pytest.raises(ContextError, match=f"'{name}' is not a context: expected a name such as"):
        resolve_context("jwst", name)


def test_no_cache_at_all(crds_path, monkeypatch):
    monkeypatch.delenv("CRDS_PATH")
    with pytest.raises(ContextError, match="CRDS_PATH is not set"):
        resolve_context("jwst")


def test_empty_cache(tmp_path, crds_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "empty"))
    with pytest.raises(ContextError, match="expected config/jwst/server_config there"):
        resolve_context("jwst")


def test_damaged_context_is_named(crds_path, capfd):
    path = crds_path / "mappings" / "jwst" / "jwst_0001.pmap"
    path.write_text(path.read_text().replace("simulated", "forged"))
    with pytest.raises(ContextError, match=r"Context jwst_0001\.pmap cannot be loaded.*sha1sum"):
        resolve_context("jwst")
    assert capfd.readouterr() == ("", "")
