"""From bucket to bucket: what it costs beside local folders, and what is left when it is killed."""

import json
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from gate import gate

from stpipe_prefect.locks import locked

CALWEBB = (sys.executable, "-m", "flows.calwebb")
MOMENTS = 20
ROUNDS = 2


@pytest.fixture
def start(environment, store_server, tmp_path):
    """Start the command on a sample, with a scratch folder of its own."""

    def start(of, *arguments, **others):
        variables = environment | store_server.environment | others
        variables |= {"CRDS_PATH": str(of.crds_path), "STPIPE_SCRATCH": str(tmp_path / "scratch")}
        return subprocess.Popen(
            [*CALWEBB, *map(str, arguments)],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def timed(start):
    """Run the command to its end, and give the seconds it took."""

    def run(*arguments, **others):
        started = time.perf_counter()
        with start(*arguments, **others) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
        return time.perf_counter() - started

    return run


def test_from_bucket_to_bucket_against_local_folders(
    sample, store_server, timed, tmp_path, say, held
):
    exposures = [*sample.exposures, sample.association]
    store_server.put(*exposures, folder="sample")
    timed(sample, exposures[0], "--stage", "1", "--output-dir", tmp_path / "first")
    local, remote = [], []
    for number in range(ROUNDS):
        folder = f"s3://archive/products{number}"
        local.append(timed(sample, *exposures, "--output-dir", tmp_path / f"local{number}"))
        remote.append(timed(sample, "s3://archive/sample/", "--output-dir", folder))
    say(f"the sample: local {min(local):.1f} s, from bucket to bucket {min(remote):.1f} s")
    held("the sample, bucket to bucket / local", min(remote) / min(local), limit=1.15)


@pytest.fixture(scope="session")
def uploads(store_server, small):
    """Put the small sample into the bucket; gives how many uploads its products take."""
    store_server.put(*small.program.exposures, small.program.association, folder="small")
    each = 2 * 6  # two pipelines: two products, log, quick looks; the record is written twice
    return 1 + each * len(small.program.exposures) + 3 + 3 + len(small.program.exposures)


@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_any_moment(small, store_server, uploads, start, timed, tmp_path, number):
    raw, folder = "s3://archive/small/", f"killed{number}"
    out = f"s3://archive/{folder}"
    with gate(store_server.url) as door:
        door.limit = number * uploads // MOMENTS
        with start(small, raw, "--output-dir", out, AWS_ENDPOINT_URL=door.url) as process:
            door.process = process.pid
            process.wait()
        assert process.returncode == -9
        wait_for_those_who_upload(tmp_path / "scratch")
    check(store_server, folder)
    timed(small, raw, "--output-dir", out)
    vouched = check(store_server, folder)
    assert vouched == {*store_server.names(folder)}
    assert not [*(tmp_path / "scratch").iterdir()]


def check(store, folder):
    """See that all is whole that a record vouches for; give its name."""
    vouched = set()
    for name in store.names(folder):
        if name.endswith(".provenance.json"):
            record = json.loads(store.read(f"{folder}/{name}"))
            for product in record.get("products", ()):
                assert store.sha256(f"{folder}/{product['path']}") == product["sha256"]
                vouched.add(product["path"])
            if "products" in record:
                looks = name.replace(".provenance.json", ".quicklook.json")
                vouched |= {name, record["run"]["log"], looks}
    return vouched


def wait_for_those_who_upload(scratch):
    """Wait until the processes have ended that the killed command had started."""
    for lock in scratch.glob("*.lock"):
        with suppress(OSError), locked(lock, 60):
            pass
