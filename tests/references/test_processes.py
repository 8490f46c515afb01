"""Many processes on one cold cache."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import loopback
import pytest

FETCH = """
import sys
from stpipe_prefect.references.cache import prefetch
from stpipe_prefect.references.reference import ReferenceFile

for name in sys.argv[1:]:
    cached = prefetch(ReferenceFile(name, "some", "jwst", "jwst_0001.pmap"))
    print(name, cached.sha1, flush=True)
"""


@pytest.fixture
def names(server, monkeypatch):
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "60")  # on a busy machine nobody gives up
    found = sorted(path.name for path in (server.folder / "references").rglob("*.fits"))[:20]
    assert len(found) == 20
    return found


def start(*names):
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    """Wait for processes; return what each says its files' checksums are."""
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(dict(line.split() for line in out.splitlines()))
    return results


def sha1s(server, names):
    return {name: hashlib.sha1(server.file(name).read_bytes()).hexdigest() for name in names}


def test_every_file_is_requested_once_and_again_if_it_was_damaged_on_the_way(cold, server, names):
    server.manners[names[7]] = loopback.once(loopback.corrupted)
    assert finish([start(*names) for _ in range(6)]) == [sha1s(server, names)] * 6
    assert server.files_asked == dict.fromkeys(names, 1) | {names[7]: 2}
    fetched = {path.name: path for path in (cold / "references").rglob("*.fits")}
    assert {
        name: hashlib.sha1(fetched[name].read_bytes()).hexdigest() for name in fetched
    } == sha1s(server, names)


def test_holder_killed_in_mid_download(cold, server, names):
    server.manners[names[0]] = loopback.once(loopback.slowly(60))
    holder = start(*names)
    partial = list_until(lambda: list(cold.rglob(f".{names[0]}.*.part")))
    others = [start(*names) for _ in range(4)]
    list_until(lambda: partial[0].stat().st_size > 0)
    time.sleep(3)  # the others have come to wait for it
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert finish(others) == [sha1s(server, names)] * 4
    assert server.files_asked == dict.fromkeys(names, 1) | {names[0]: 2}
    assert not list(cold.rglob(".*.part"))


def list_until(condition):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("never happened")
