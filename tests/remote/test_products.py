"""Products are in a store with their record, or not at all; also if a run is killed."""

import json
import os
import subprocess
import sys

import publishing
import pytest
from gate import gate
from publishing import publish

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.provenance.record import read_record
from stpipe_prefect.remote.products import ProductsFolder
from stpipe_prefect.remote.urls import local_path, url_of


def state(store, folder):
    """Say of each product in a store which content it has, and check what records vouch for."""
    names = store.names(folder)
    for name in names:
        if name.endswith(".json"):
            record = json.loads(store.read(f"{folder}/{name}"))
            for product in record.get("products", ()):
                assert store.sha256(f"{folder}/{product['path']}") == product["sha256"]
    vouching = any(b"sha256" in store.read(f"{folder}/{n}") for n in names if n.endswith(".json"))
    made = {n: store.read(f"{folder}/{n}").decode() for n in names if n.endswith(".fits")}
    return vouching, made


def test_the_record_has_the_marks_of_the_products(here, store):
    publish("s3://archive/marks", "first")
    folder = local_path("s3://archive/again").with_name("marks")
    ProductsFolder(folder).bring(["x"])
    record = read_record(folder / "x_uncal.one.provenance.json")
    assert not record.problems()
    assert [url_of(product.path) for product in record.products] == [
        "s3://archive/marks/x_rate.fits",
        "s3://archive/marks/x_rateints.fits",
    ]
    store.write("marks/x_rate.fits", b"other")
    ProductsFolder(folder).bring(["x"])
    assert record.problems() == ["product x_rate.fits is damaged"]
    store.files.rm("archive/marks/x_rate.fits")
    (folder / "x_rate.fits").unlink()
    ProductsFolder(folder).bring(["x"])
    assert record.problems() == ["product x_rate.fits is missing"]


@pytest.mark.parametrize("uploads", [1, 3, 4])
def test_killed_while_it_uploads(store, tmp_path, monkeypatch, uploads):
    monkeypatch.setenv("STPIPE_SCRATCH", str(tmp_path / "scratch"))
    folder = f"killed{uploads}"
    publish(f"s3://archive/{folder}", "first")
    with gate(store.url) as door:
        door.limit = uploads
        command = [sys.executable, publishing.__file__, f"s3://archive/{folder}", "second"]
        with subprocess.Popen(command, env=os.environ | {"AWS_ENDPOINT_URL": door.url}) as job:
            door.process = job.pid
        assert job.returncode == -9
    vouching, _ = state(store, folder)
    assert not vouching
    publish(f"s3://archive/{folder}", "third")
    vouching, made = state(store, folder)
    assert vouching
    assert {*made.values()} == {"third"}
    assert not [*(tmp_path / "scratch").iterdir()]


def test_what_a_killed_run_left_is_removed_by_the_next(here, store):
    unfinished = {"schema": "stpipe_prefect/unfinished-1.0.0", "files": ["x_rate.fits"]}
    store.write("left/x_uncal.one.provenance.json", json.dumps(unfinished).encode())
    store.write("left/x_rate.fits", b"half the set")
    store.write("left/x_other.fits", b"somebody's")
    products = ProductsFolder(local_path("s3://archive/left"))
    products.bring(["x"])
    assert not (local_path("s3://archive/left") / "x_uncal.one.provenance.json").exists()
    products.clear("y")
    assert len(store.names("left")) == 3
    products.clear("x")
    assert store.names("left") == ["x_other.fits"]


def test_leads_nowhere_else(here, store):
    unfinished = {"schema": "stpipe_prefect/unfinished-1.0.0", "files": ["../../victim"]}
    store.write("evil/x_uncal.one.provenance.json", json.dumps(unfinished).encode())
    products = ProductsFolder(local_path("s3://archive/evil"))
    products.bring(["x"])
    with pytest.raises(UsageError, match="expected a bucket and names"):
        products.clear("x")
