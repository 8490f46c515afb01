"""Fetching into the cache: whole, verified, once; and what is said when that cannot be."""

import errno
import fcntl
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import loopback
import pytest

from stpipe_prefect.exceptions import ContextError, CrdsServerError, ReferenceFileError
from stpipe_prefect.references import crds_client as crds_server
from stpipe_prefect.references.cache import prefetch, prefetch_all, recall
from stpipe_prefect.references.context import pinned_context, resolve_context
from stpipe_prefect.references.crds_client import Catalogue, Entry
from stpipe_prefect.references.reference import ReferenceFile

NAME = "jwst_nircam_gain_0001.fits"
GAIN = ReferenceFile(NAME, "gain", "jwst", "jwst_0001.pmap", "jw1_uncal.fits")


LARGE = ReferenceFile(
    "jwst_nircam_dark_0001.fits", "dark", "jwst", "jwst_0001.pmap", "jw1_uncal.fits"
)

IN_TIME = 60.0
"""Seconds that a slow machine may take for what ends after 2; a server is silent for twice that."""


def leftovers(path):
    return sorted(
        p.name for p in path.parent.iterdir() if p.name.startswith(".") and p.suffix != ".lock"
    )


def test_file_is_fetched_once_and_remembered(cold, server):
    seen = []
    cached = prefetch(GAIN, lambda *progress: seen.append(progress))
    original = server.file(NAME).read_bytes()
    assert cached.path.read_bytes() == original
    assert (cached.size, cached.sha1) == (len(original), hashlib.sha1(original).hexdigest())
    assert cached.is_fetched
    assert seen[-1] == (NAME, len(original), len(original))
    calls = server.calls
    assert not prefetch(GAIN).is_fetched
    assert server.files_asked == {NAME: 1}
    assert server.calls == calls
    assert leftovers(cached.path) == []


def test_verified_file_is_not_read_again(cold, server, monkeypatch):
    prefetch(GAIN)
    monkeypatch.setattr("stpipe_prefect.references.cache.sha1_of", None)
    prefetch(GAIN)


@pytest.mark.parametrize("keep_time", [False, True])
def test_flipped_byte_is_found_and_the_file_fetched_anew(cold, server, keep_time):
    path = prefetch(GAIN).path
    flip(path, keep_time)
    assert prefetch(GAIN).path.read_bytes() == server.file(NAME).read_bytes()
    assert server.files_asked == {NAME: 2}
    assert leftovers(path) == [f".{NAME}.bad"]


@pytest.mark.parametrize("keep_time", [False, True])
def test_flipped_byte_is_found_without_a_server(cold, server, monkeypatch, keep_time):
    path = prefetch(GAIN).path
    monkeypatch.delenv("CRDS_SERVER_URL")
    flip(path, keep_time)
    with pytest.raises(
        ReferenceFileError, match=f"gain reference {NAME} .*is damaged: {path} is sha1"
    ):
        prefetch(GAIN)


def test_flipped_byte_is_found_without_any_catalogue(crds_path):
    config = crds_path / "config/jwst/server_config"
    config.write_text(repr(eval(config.read_text()) | {"download_metadata": {}}))
    path = prefetch(GAIN).path
    flip(path)
    with pytest.raises(ReferenceFileError, match="changed since it was last verified"):
        prefetch(GAIN)


def test_sample_is_verified_from_the_first(crds_path):
    flip(GAIN.path)
    with pytest.raises(ReferenceFileError, match=f"{NAME} .* is damaged: .* is sha1 "):
        prefetch(GAIN)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_cache_is_used_and_remembered_elsewhere(crds_path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for folder in (crds_path, GAIN.path.parent):
        folder.chmod(0o555)
    try:
        prefetch(GAIN)
        assert list((tmp_path / "user").rglob(f"{NAME}.json"))
    finally:
        for folder in (crds_path, GAIN.path.parent):
            folder.chmod(0o755)


@pytest.mark.parametrize("damage", [loopback.corrupted, loopback.half, loopback.garbage])
def test_damaged_on_the_way_once_is_fetched_again(cold, server, damage):
    server.manners[NAME] = loopback.once(damage)
    assert prefetch(GAIN).path.read_bytes() == server.file(NAME).read_bytes()
    assert server.files_asked == {NAME: 2}


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (loopback.corrupted, "sha1 "),
        (loopback.half, "\\d+ bytes instead"),
        (loopback.garbage, "33 "),
    ],
)
def test_damaged_twice_is_an_error_and_leaves_no_file(cold, server, damage, what):
    server.manners[NAME] = damage
    with pytest.raises(
        ReferenceFileError, match=rf"gain reference {NAME} .* was damaged in two downloads: {what}"
    ) as caught:
        prefetch(GAIN)
    explains(caught.value)
    assert not GAIN.path.exists()
    assert server.files_asked == {NAME: 2}


def test_refusal_once_is_got_over(cold, server):
    server.manners[NAME] = loopback.once(loopback.refusing)
    assert prefetch(GAIN).is_fetched


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (loopback.refusing, "503"),
        (loopback.silent, "does not answer"),
        (loopback.falling_silent, "does not answer"),
        (loopback.slowly(1000), "does not answer|too slow"),
    ],
)
def test_download_that_does_not_succeed_ends_in_time(cold, server, manner, why):
    takes_server = manner in (loopback.silent, loopback.falling_silent)
    server.manners[NAME] = manner(server) if takes_server else manner
    started = time.monotonic()
    with pytest.raises(CrdsServerError, match=why) as caught:
        prefetch(GAIN)
    assert time.monotonic() - started < IN_TIME
    explains(caught.value)
    assert not GAIN.path.exists()
    assert leftovers(GAIN.path) == []


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (loopback.refusing, "503"),
        (loopback.silent, "does not answer"),
        (loopback.garbage, "its response is not that of a CRDS server"),
    ],
)
def test_service_that_fails_ends_in_time(cold, server, manner, why):
    server.manners["*"] = manner(server) if manner is loopback.silent else manner
    started = time.monotonic()
    with pytest.raises(CrdsServerError, match=why) as caught:
        prefetch(GAIN)
    explains(caught.value)
    with pytest.raises(ContextError, match=why):
        resolve_context("jwst")
    assert time.monotonic() - started < IN_TIME


def test_nobody_listens(cold, monkeypatch):
    monkeypatch.setenv("CRDS_SERVER_URL", "http://localhost:9")
    with pytest.raises(CrdsServerError, match=r"localhost:9.*refused") as caught:
        prefetch(GAIN)
    explains(caught.value)


def test_slow_but_steady_is_waited_for(cold, server):
    server.manners[LARGE.name] = loopback.slowly(3)  # 40 kB/s
    assert prefetch(LARGE).is_fetched


@pytest.mark.parametrize(("rate", "ends"), [(0.2, True), (0.95, True), (1.05, False), (50, False)])
def test_what_drips_ends_at_the_limit_however_near_the_least_rate(monkeypatch, rate, ends):
    now = [0.0]
    monkeypatch.setattr(crds_server, "monotonic", lambda: now[0])
    monkeypatch.delenv("STPIPE_CRDS_PATIENCE", raising=False)
    waiting = crds_server.Deadline()
    while waiting.left and now[0] < 600:
        now[0] += 0.5
        waiting.extend(int(0.5 * rate * crds_server.LEAST_RATE))
    assert (now[0] <= 30) == ends


def test_what_others_left_unfinished_is_in_nobodys_way(cold, server):
    partial = GAIN.path.parent / f".{NAME}.part"
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir()  # as good as a file of somebody else: it can neither be opened nor removed
    (partial / "file").touch()
    assert prefetch(GAIN).path.read_bytes() == server.file(NAME).read_bytes()
    assert server.files_asked == {NAME: 1}


def test_cache_that_cannot_be_written_is_not_blamed_on_the_server(cold, server, monkeypatch):
    def full(path, *args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = GAIN.path
    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr(Catalogue, "entry_for_download", lambda *args: (Entry(1, ""), "nowhere"))
    with pytest.raises(ReferenceFileError) as caught:
        prefetch(GAIN)
    assert str(caught.value).startswith(f"{path.parent}/.{NAME}.")
    assert str(caught.value).endswith(".part cannot be written: [Errno 28] No space left on device")


def test_flipped_byte_is_found_by_a_server_where_there_was_no_catalogue(
    crds_path, server, monkeypatch
):
    config = crds_path / "config/jwst/server_config"
    config.write_text(repr(eval(config.read_text()) | {"download_metadata": {}}))
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    flip(GAIN.path)
    assert prefetch(GAIN).path.read_bytes() == server.file(NAME).read_bytes()
    own = ReferenceFile("jwst_nircam_gain_0099.fits", "gain", "jwst", "jwst_0001.pmap")
    own.path.write_bytes(server.file(NAME).read_bytes())  # no server knows it
    for _ in range(2):
        prefetch(own)
    assert server.asked["get_server_info"] == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"observatory": "jwst"}, "bad_files_list is not a list of files"),
        ({"observatory": "jwst", "bad_files_list": []}, "it names no operational_context"),
        ([1, 2], "does not serve jwst"),
        ("DAMAGED", "download_metadata is not a list of files"),
    ],
)
def test_nonsense_that_a_server_says_of_itself_is_not_kept(
    cold, server, monkeypatch, answer, problem
):
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "60")
    whole = server.get_server_info()
    if answer == "DAMAGED":
        answer = whole | {"download_metadata": {"crds_encoded": "1.0", "crds_payload": "bm8="}}
    server.get_server_info = lambda: answer
    with pytest.raises(ContextError, match=problem):
        resolve_context("jwst", "jwst_0001.pmap")
    assert not (cold / "config/jwst/server_config").exists()
    server.get_server_info = lambda: whole
    assert resolve_context("jwst", "jwst_0001.pmap") == "jwst_0001.pmap"


def test_file_the_server_does_not_know(cold):
    with pytest.raises(ReferenceFileError, match=r"does not know jwst_nircam_gain_0099\.fits"):
        prefetch(ReferenceFile("jwst_nircam_gain_0099.fits", "gain", "jwst", "jwst_0001.pmap"))


def test_silent_server_costs_one_wait_for_many_files(cold, server):
    with pinned_context("jwst", "jwst_0001.pmap") as context:
        server.asked.clear()
        server.manners["*"] = loopback.silent(server)
        names = sorted(path.name for path in server.file(NAME).parent.glob("*.fits"))
        wanted = [ReferenceFile(name, "some", "jwst", context) for name in names]
        outcomes = list(prefetch_all(wanted, 2))
    assert [type(outcome) for outcome in outcomes] == [CrdsServerError]
    assert server.asked.total() < len(names)  # for the first of them alone, and again


def test_silent_server_costs_all_who_wait_for_a_file_one_limit(cold, server):
    prefetch(GAIN)
    server.manners["*"] = loopback.silent(server)
    started = time.monotonic()

    def ask(_):
        prefetch(GAIN)  # which is there
        with pytest.raises(CrdsServerError):
            prefetch(LARGE)

    with ThreadPoolExecutor(40) as threads:
        assert len(list(threads.map(ask, range(40)))) == 40
    assert time.monotonic() - started < IN_TIME  # one after the other they would wait for 80 s


def test_context_is_fetched_whole_from_the_server(cold, server, monkeypatch):
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "60")  # on a busy machine none is asked for again
    assert resolve_context("jwst") == "jwst_0001.pmap"
    mappings = {path.name for path in (cold / "mappings/jwst").iterdir() if path.name[0] != "."}
    assert mappings == set(server.files_asked)
    assert set(server.files_asked.values()) == {1}
    assert len(mappings) > 30


def test_no_call_with_a_pinned_context_one_without(cold, server):
    with pinned_context("jwst") as context:
        prefetch(ReferenceFile(NAME, "gain", "jwst", context))
    server.asked.clear()
    with pinned_context("jwst", "jwst_0001.pmap") as context:
        prefetch(ReferenceFile(NAME, "gain", "jwst", context))
    assert not server.asked
    with pinned_context("jwst") as context:
        prefetch(ReferenceFile(NAME, "gain", "jwst", context))
    assert server.asked == {"get_build_context": 1}


def test_mapping_damaged_on_the_way(cold, server):
    server.manners["jwst_nircam_gain_0001.rmap"] = loopback.corrupted
    with pytest.raises(
        ContextError,
        match=r"jwst_0001\.pmap.*mapping jwst_nircam_gain_0001\.rmap.*damaged in two downloads",
    ) as caught:
        resolve_context("jwst")
    explains(caught.value)


def test_context_unknown_to_the_server(cold):
    with pytest.raises(ContextError, match=r"does not know jwst_0099\.pmap"):
        resolve_context("jwst", "jwst_0099.pmap")


def test_server_of_another_observatory(cold, server):
    with pytest.raises(ContextError, match="does not serve roman"):
        resolve_context("roman", "roman_0001.pmap")


def flip(path, keep_time=False):
    """Flip one byte in the middle."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def explains(error):
    assert "\n" not in str(error)
    assert "jwst_0001.pmap" in str(error)
    assert "localhost" in str(error)


@pytest.mark.parametrize("planted", [f".{NAME}.part", f".{NAME}.12345678.part", f".{NAME}.lock"])
def test_planted_link_leads_nowhere(cold, server, tmp_path, planted):
    victim = tmp_path / "precious"
    victim.write_text("data")
    folder = GAIN.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / planted).symlink_to(victim)
    if planted.endswith(".lock"):
        with pytest.raises(ReferenceFileError) as caught:
            prefetch(GAIN)
        assert f"lock file {folder / planted} cannot be used (Too many levels" in str(caught.value)
    else:
        assert prefetch(GAIN).path.read_bytes() == server.file(NAME).read_bytes()
        assert leftovers(GAIN.path) == []
    assert victim.read_text() == "data"


@pytest.mark.parametrize("planted", ["link", "writable", "another user's"])
def test_records_that_others_can_write_are_not_believed(cold, server, tmp_path, planted):
    prefetch(GAIN)
    records = cold / ".verified"
    assert [path.name for path in records.iterdir()] == [f"{NAME}.json"]
    if planted == "link":
        records.rename(tmp_path / "victim")
        records.symlink_to(tmp_path / "victim")
    elif planted == "writable":
        records.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(records, 12345, -1)
    else:
        pytest.skip("only an administrator can be several users")
    assert not recall(GAIN.path)
    path = records / f"{NAME}.json"
    before = path.stat().st_mtime_ns
    assert prefetch(GAIN).is_fetched is False
    assert path.stat().st_mtime_ns == before
    assert recall(GAIN.path)  # in the user's own folder


@pytest.mark.parametrize("was_there", [False, True])
def test_file_system_without_locks_is_named(cold, server, monkeypatch, was_there):
    def no_flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    folder = GAIN.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if was_there:
        (folder / f".{NAME}.lock").touch()
    monkeypatch.setattr(fcntl, "flock", no_flock)
    with pytest.raises(ReferenceFileError) as caught:
        prefetch(GAIN)
    assert str(caught.value) == (
        f"{GAIN} cannot be fetched: {folder} is on a file system without file locks (Function not "
        "implemented): mount it with them (Lustre: option flock; NFS: lock manager running, or "
        "local_lock=flock), or set CRDS_PATH to another folder"
    )
