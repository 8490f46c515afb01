"""Which context a run uses."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

import crds
import pytest
from crds.core import utils

from stpipe_prefect.exceptions import ContextError, ReferenceFileError
from stpipe_prefect.references.context import CONTEXT_VARIABLE, pinned_context, resolve_context
from stpipe_prefect.references.crds_client import configured_server
from stpipe_prefect.references.selection import best_references


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
    assert configured_server("jwst") is None


def test_threads_with_one_context_overlap_and_those_with_another_wait(crds_path, monkeypatch):
    monkeypatch.setenv(CONTEXT_VARIABLE, "jwst_0002.pmap")
    both_in, first_out, seen = threading.Barrier(2, timeout=60), threading.Event(), []

    def share(context):
        with pinned_context("jwst", context):
            both_in.wait()
            if context:  # ends first, and takes nothing away from the other
                seen.append(("shared", crds.get_context_name("jwst")))
            else:
                assert first_out.wait(60)
                seen.append(("last", crds.get_context_name("jwst")))

    def other():
        with pinned_context("jwst", "jwst_0001.pmap"):
            seen.append(("other", crds.get_context_name("jwst")))

    with ThreadPoolExecutor(3) as threads:
        last = threads.submit(share, None)
        first = threads.submit(share, "jwst_0002.pmap")
        first.result(60)
        another = threads.submit(other)
        first_out.set()
        last.result(60)
        another.result(60)
    assert seen == [
        ("shared", "jwst_0002.pmap"),
        ("last", "jwst_0002.pmap"),
        ("other", "jwst_0001.pmap"),
    ]
    assert os.environ[CONTEXT_VARIABLE] == "jwst_0002.pmap"


def test_another_context_within_a_run_is_refused_while_others_share_the_first(crds_path):
    with pinned_context("jwst", "jwst_0001.pmap"), ThreadPoolExecutor(1) as thread:
        done = threading.Event()

        def share():
            with pinned_context("jwst", "jwst_0001.pmap"):
                inside.set()
                assert done.wait(60)

        inside = threading.Event()
        sharing = thread.submit(share)
        assert inside.wait(60)
        with (
            pytest.raises(ContextError, match=r"jwst_0002.pmap cannot be used within a run under"),
            pinned_context("jwst", "jwst_0002.pmap"),
        ):
            pass
        done.set()
        sharing.result(60)
    assert CONTEXT_VARIABLE not in os.environ


def test_threads_of_one_run_cannot_use_two_contexts(crds_path):
    def use(context):
        with pinned_context("jwst", context) as name:
            return name, crds.get_context_name("jwst")

    with ThreadPoolExecutor(1) as thread, pinned_context("jwst", "jwst_0001.pmap"):
        of_the_run = copy_context()
        with pinned_context("jwst", "jwst_0002.pmap"):
            for context in (None, "jwst_0001.pmap"):
                with pytest.raises(ContextError, match=r"within a run under jwst_0001.pmap"):
                    thread.submit(of_the_run.run, use, context).result(60)
        assert thread.submit(of_the_run.run, use, None).result(60) == ("jwst_0001.pmap",) * 2


def test_default_context_is_not_that_of_an_earlier_time(crds_path):
    def default():
        with pinned_context("jwst") as name:
            return name

    assert default() == "jwst_0001.pmap"
    config = crds_path / "config/jwst/server_config"
    config.write_text(config.read_text().replace("jwst_0001.pmap", "jwst_0002.pmap"))
    with ThreadPoolExecutor(1) as thread:
        with pinned_context("jwst", "jwst_0001.pmap"):
            waiting = thread.submit(default)
            wait([waiting], timeout=1)  # it would not have to
        assert waiting.result(60) == "jwst_0002.pmap"


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


def test_absent_context_among_many_is_named_with_the_nearest_and_the_newest(crds_path):
    folder = crds_path / "mappings/jwst"
    for number in range(900, 1304):
        (folder / f"jwst_{number:04d}.pmap").touch()
    with pytest.raises(ContextError) as caught:
        resolve_context("jwst", "jwst_0899.pmap")
    assert str(caught.value) == (
        f"Context jwst_0899.pmap is not in the CRDS cache {crds_path}; "
        "it holds 406 contexts, the nearest is jwst_0900.pmap, the newest jwst_1303.pmap"
    )


@pytest.mark.parametrize("name", ["0002", "jwst_0002", "newest"])
def test_other_words_are_no_context(crds_path, name):
    with pytest.raises(ContextError, match=f"'{name}' is not a context: expected a name such as"):
        resolve_context("jwst", name)


def test_contexts_named_by_how_they_are_found(crds_path, server, monkeypatch):
    assert resolve_context("jwst", "latest") == "jwst_0001.pmap"
    with pytest.raises(ContextError, match="only a CRDS server knows it"):
        resolve_context("jwst", "build")
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    server.build = "jwst_0002.pmap"
    for asked, found in ((None, 2), ("build", 2), ("latest", 1)):
        with pinned_context("jwst", asked) as context, pinned_context("jwst", asked):
            assert context == f"jwst_{found:04}.pmap"


def test_no_cache_at_all(crds_path, monkeypatch):
    monkeypatch.delenv("CRDS_PATH")
    with pytest.raises(ContextError, match="CRDS_PATH is not set"):
        resolve_context("jwst")


def test_empty_cache(tmp_path, crds_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "empty"))
    with pytest.raises(ContextError, match="server_config is absent; set CRDS_SERVER_URL"):
        resolve_context("jwst")


MAPPINGS = ("jwst_0001.pmap", "jwst_nircam_0001.imap", "jwst_nircam_gain_0001.rmap")
NIRCAM = {"META.INSTRUMENT.NAME": "NIRCAM", "META.INSTRUMENT.DETECTOR": "NRCB1"}
CONFIG = "config/jwst/server_config"


def select_gain(context):
    where = {"observatory": "jwst", "context": resolve_context("jwst", context)}
    return best_references(NIRCAM, ["gain"], required=False, **where)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def forge(path):
    path.write_text(path.read_text().replace("simulated", "forged", 1))


@pytest.mark.parametrize("damage", [cut, forge, Path.unlink])
@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize("catalogue", [True, False])
def test_damaged_mapping_is_fetched_anew(crds_path, server, monkeypatch, name, damage, catalogue):
    if not catalogue:
        config = crds_path / CONFIG
        config.write_text(repr(eval(config.read_text()) | {"download_metadata": {}}))
    damage(crds_path / "mappings/jwst" / name)
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    assert select_gain("jwst_0001.pmap") == {"gain": "N/A"}  # such an exposure has no date
    path = crds_path / "mappings/jwst" / name
    assert path.read_bytes() == server.file(name).read_bytes()


@pytest.mark.parametrize("damage", [cut, forge, Path.unlink])
@pytest.mark.parametrize("name", MAPPINGS[1:])
def test_damaged_mapping_without_a_server_is_one_line(crds_path, capfd, name, damage):
    damage(crds_path / "mappings/jwst" / name)
    with pytest.raises(ReferenceFileError) as caught:
        select_gain("jwst_0001.pmap")
    line = str(caught.value)
    assert line.startswith("jwst_0001.pmap cannot select references for this exposure: ")
    assert name in line and line.endswith("set CRDS_SERVER_URL to fetch mappings")
    assert capfd.readouterr() == ("", "")  # crds would print a traceback


DAMAGED = ("", "garbage(", "[]", '{"observatory": "jwst"}')


@pytest.mark.parametrize("context", [None, "jwst_0001.pmap"])
@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_description_of_the_server_is_fetched_anew(
    crds_path, server, monkeypatch, text, context
):
    (crds_path / CONFIG).write_text(text)
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    assert select_gain(context) == {"gain": "N/A"}


@pytest.mark.parametrize("context", [None, "jwst_0001.pmap"])
@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_description_without_a_server_is_named(crds_path, text, context):
    (crds_path / CONFIG).write_text(text)
    with pytest.raises(ContextError) as caught:
        resolve_context("jwst", context)
    assert str(caught.value).startswith(
        f"No CRDS context for jwst in {crds_path}: {CONFIG} is damaged: "
    )
    assert str(caught.value).endswith("; set CRDS_SERVER_URL to have it fetched")


@pytest.mark.parametrize(
    ("name", "shown", "problem"),
    [
        ("c#d", "c#d", "asdf reads its path as a URI, where # ? ; % have a special meaning"),
        ("c?d", "c?d", "asdf reads its path as a URI"),
        ("c%41", "c%41", "asdf reads its path as a URI"),
        ("c\nd", r"c\nd", "asdf reads its path as a URI"),
        (os.fsdecode(b"c\xff"), r"c\xff", "its path is not UTF-8"),
    ],
)
def test_cache_whose_files_upstream_or_a_record_cannot_name(
    crds_path, tmp_path, monkeypatch, name, shown, problem
):
    """Upstream's steps go on without the parameters of CRDS where asdf opens no file."""
    monkeypatch.setenv("CRDS_PATH", str(crds_path.rename(tmp_path / name)))
    with pytest.raises(ContextError) as caught:
        resolve_context("jwst")
    assert str(caught.value).startswith(f"CRDS cache {tmp_path}/{shown}: {problem}")
    assert str(caught.value).endswith(": rename the folder")


@contextmanager
def unreadable(path):
    """Make something unreadable; for an administrator, who reads all, by being somebody else."""
    mode = path.stat().st_mode
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    if was_administrator := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_administrator:
            os.seteuid(0)
        path.chmod(mode)


@pytest.mark.parametrize("what", ["server_config", "."])
def test_cache_that_may_not_be_read_is_named(crds_path, what):
    assert resolve_context("jwst") == "jwst_0001.pmap"
    utils.clear_function_caches()
    config = crds_path / "config" / "jwst"
    with unreadable(config / what), pytest.raises(ContextError) as caught:
        resolve_context("jwst")
    assert str(caught.value) == (
        f"No CRDS context for jwst in {crds_path}: config/jwst/server_config cannot be read "
        "(Permission denied); have its owner make it readable"
    )


def test_damaged_context_is_named(crds_path, capfd):
    path = crds_path / "mappings" / "jwst" / "jwst_0001.pmap"
    path.write_text(path.read_text().replace("simulated", "forged"))
    with pytest.raises(ContextError, match=r"Context jwst_0001\.pmap cannot be loaded.*sha1sum"):
        resolve_context("jwst")
    assert capfd.readouterr() == ("", "")
