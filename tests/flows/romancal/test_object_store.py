"""Exposures of Roman from a bucket, and their products into one."""

import json
import subprocess
import sys

import pytest

FOLDER = "s3://archive/roman"


@pytest.fixture(scope="module")
def run(user, roman, store_server, tmp_path_factory):
    """Run the commands on a folder in the bucket that has an exposure and a mosaic of it."""
    table = json.loads(roman.association.read_text())
    del table["products"][0]["members"][1:]
    association = tmp_path_factory.mktemp("roman") / roman.association.name
    association.write_text(json.dumps(table))
    store_server.put(roman.exposures[0], association, folder="roman")
    variables = user | store_server.environment | {"CRDS_PATH": str(roman.crds_path)}
    variables |= {"STPIPE_SCRATCH": str(tmp_path_factory.mktemp("scratch"))}

    def run(module, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_products_are_beside_the_exposures_and_up_to_date(run, roman, store_server):
    out = run("flows.romancal", f"{FOLDER}/", "--output-dir", FOLDER)
    assert f"products are in {FOLDER}" in out
    names = store_server.names("roman")
    mosaic = roman.association.name.replace("_asn.json", "_coadd.asdf")
    assert {roman.exposures[0].name.replace("_uncal", "_cal"), mosaic} <= {*names}
    for name in (name for name in names if name.endswith(".provenance.json")):
        record = json.loads(store_server.read(f"roman/{name}"))
        for product in record["products"]:
            assert store_server.sha256(f"roman/{product['path']}") == product["sha256"]

    plan = run("flows.romancal", f"{FOLDER}/", "--output-dir", FOLDER, "--plan")
    assert "0 of 2 will run" in plan
    same = run("flows.reprocess", FOLDER)
    assert same == "0 of 2 stale under roman_0001.pmap: 0 done, 0 failed, 0 left\n"
    said = run("flows.reprocess", FOLDER, "--plan", "--json", "--context", "roman_0002.pmap")
    exposure, combined = (item["plans"][0]["reasons"] for item in json.loads(said)["stale"])
    assert exposure == ["reference flat 0001 → 0002"]
    assert combined[0].endswith("_cal.asdf will be remade")
