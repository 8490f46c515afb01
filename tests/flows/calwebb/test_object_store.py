"""Exposures and associations from a bucket, and their products into one."""

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "flows.calwebb"]
RAW, PRODUCTS = "s3://archive/raw/", "s3://archive/products"


@pytest.fixture(scope="module")
def store(store_server, tmp_path_factory, small):
    """The store, with an exposure and an association of it."""
    table = json.loads(small.program.association.read_text())
    del table["products"][0]["members"][1:]
    association = tmp_path_factory.mktemp("raw") / small.program.association.name
    association.write_text(json.dumps(table))
    store_server.put(small.program.exposures[0], association)
    return store_server


@pytest.fixture(scope="module")
def run(store, environment, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    variables = environment | store.environment | {"STPIPE_SCRATCH": str(scratch)}

    def run(*arguments, **others):
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=variables | others,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not [*scratch.iterdir()]
        return done

    return run


@pytest.fixture(scope="module")
def first(run):
    """The first run, of all that is in the bucket."""
    return run(RAW, "--output-dir", PRODUCTS)


@pytest.fixture
def records(store, first):
    names = [name for name in store.names("products") if name.endswith(".provenance.json")]
    return {name: json.loads(store.read(f"products/{name}")) for name in names}


def test_makes_products_with_their_records(first, store, records):
    assert first.returncode == 0, first.stderr
    assert "products are in s3://archive/products" in first.stdout
    assert len(records) == 3
    named = set()
    for record in records.values():
        for product in record["products"]:
            assert store.sha256(f"products/{product['path']}") == product["sha256"]
            named.add(product["path"])
        log = record["run"]["log"]
        named |= {log, log.removesuffix(".log") + ".quicklook.json"}
    assert named | records.keys() == {*store.names("products")}


def test_records_name_objects(records, store):
    for record in records.values():
        for file in record["inputs"]:
            name = file["path"].removeprefix("s3://archive/")
            assert store.sha256(name) == file["sha256"]
            assert file["mark"] == store.files.info(f"archive/{name}")["ETag"].strip('"')


def test_finds_that_nothing_changed_without_fetching_pixels(first, run, store):
    before = len(store.asked())
    plan = run(RAW, "--output-dir", PRODUCTS, "--plan")
    assert plan.returncode == 0, plan.stderr
    assert "0 of 3 will run" in plan.stdout
    fetched = [each for each in store.asked()[before:] if each.startswith("GET archive/products/")]
    assert all(each.endswith(".provenance.json") for each in fetched)


def test_runs_again_what_changed(first, run, store, small):
    name = small.program.exposures[0].name
    content = store.read(f"raw/{name}")
    try:
        store.write(f"raw/{name}", content + bytes(2880))
        plan = run(f"{RAW}{name}", "--output-dir", PRODUCTS, "--plan", "--json")
    finally:
        store.write(f"raw/{name}", content)
    detector1, image2 = json.loads(plan.stdout)
    assert detector1["reasons"] == [f"input {name} changed"]
    assert detector1["products"][0].startswith("s3://archive/products/jw")
    assert "will be remade" in image2["reasons"][0]


def test_continues_from_a_product_in_the_store(first, run, store, records):
    root = "jw01234001001_02101_00001_nrcb1"
    store.files.rm(f"archive/products/{root}_cal.fits")
    done = run(f"{RAW}{root}_uncal.fits", "--output-dir", PRODUCTS)
    assert done.returncode == 0, done.stderr
    made = json.loads(store.read(f"products/{root}_rate.calwebb_image2.provenance.json"))
    assert made["inputs"] == records[f"{root}_rate.calwebb_image2.provenance.json"]["inputs"]
    assert made["products"][0]["sha256"] == store.sha256(f"products/{root}_cal.fits")


def test_keeps_what_was_changed_by_hand(first, run, store):
    name = "products/jw01234001001_02101_00001_nrcb1_rate.fits"
    content = store.read(name)
    try:
        store.write(name, content[::-1])
        done = run(RAW, "--output-dir", PRODUCTS)
    finally:
        store.write(name, content)
    assert done.returncode == 1
    assert f"s3://archive/{name} was changed since calwebb_detector1 made it" in done.stderr
