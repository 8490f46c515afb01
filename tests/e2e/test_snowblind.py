"""Steps that a survey team has written on stpipe make as flows what ``.call`` makes of them."""

from pathlib import Path

import pytest
from loopback import LoopbackCrds

from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.slow

WAYS = ("name", "class", "instance", "pipeline")

BY_CALL_OR_FLOW = """
import sys
from pathlib import Path
from types import ModuleType

import snowblind
from jwst.pipeline import Detector1Pipeline

def full(model):
    model.meta.subarray.name = "FULL"
    return model

exposure, out, how, *ways = sys.argv[1:]
sys.modules["pretending"] = ModuleType("pretending")
sys.modules["pretending"].full = full
hooks = {
    "name": "snowblind.SnowblindStep",
    "class": snowblind.SnowblindStep,
    "instance": snowblind.SnowblindStep(),
}
for way in ways:
    folder = Path(out, way)
    folder.mkdir(parents=True)
    # the pipeline's own hook cleans full frames only, and the sample has none
    steps = {"jump": {"post_hooks": [hooks.get(way, "pretending.full")]}}
    if how == "call":
        pipeline = Detector1Pipeline if way in hooks else snowblind.Detector1Pipeline
        pipeline.call(exposure, output_dir=str(folder), save_results=True, steps=steps)
    else:
        from stpipe_prefect import as_flow

        pipeline = "calwebb_detector1" if way in hooks else "snowblind_detector1"
        as_flow(pipeline)(exposure, output_dir=folder, steps=steps)
"""


@pytest.fixture(scope="module")
def by_call(small, run_python, tmp_path_factory):
    out = tmp_path_factory.mktemp("snowblind") / "call"
    exposure = small.program.exposures[0]
    run_python(BY_CALL_OR_FLOW, exposure, out, "call", *WAYS, CRDS_PATH=small.crds_path)
    return out


@pytest.fixture(scope="module")
def by_flow(small, run_python, prefect_url, tmp_path_factory):
    """Run the flows on a cold cache: what the steps ask for comes from a server."""
    folder = tmp_path_factory.mktemp("snowblind")
    with pytest.MonkeyPatch.context() as patch, LoopbackCrds(small.crds_path).running() as server:
        patch.setenv("PREFECT_API_URL", prefect_url)
        run_python(
            BY_CALL_OR_FLOW,
            small.program.exposures[0],
            folder / "flow",
            "flow",
            *WAYS,
            CRDS_PATH=folder / "crds",
            CRDS_SERVER_URL=server.url,
        )
    return folder / "flow"


@pytest.mark.parametrize("way", WAYS)
def test_every_array_table_and_card_is_the_same(by_call, by_flow, differences, way):
    products = sorted((by_call / way).glob("*.fits"))
    assert len(products) == 2
    for product in products:
        assert differences(by_flow / way / product.name, product) == []


@pytest.mark.parametrize("way", WAYS)
def test_record_names_the_step_and_its_parameters(by_flow, way):
    record = find_record(next((by_flow / way).glob("*_rate.fits")))
    step = "jump.stream_clean" if way == "pipeline" else "snowblind"
    ran = {row["step"].removeprefix("jump."): row["outcome"] for row in record.steps}
    assert ran[step.removeprefix("jump.")] == "Completed"
    used = {row["parameter"] for row in record.dependencies.parameters if step in row["step"]}
    assert {"skip", "suffix"} < used and len(used) > 12


def test_references_that_only_they_ask_for_are_recorded(by_flow):
    record = find_record(next((by_flow / "pipeline").glob("*_rate.fits")))
    asked = {row["type"]: row for row in record.dependencies.references if row.get("asked")}
    assert asked["flat"]["file"] == "jwst_nircam_flat_0001.fits"
    assert len(asked["flat"]["sha1"]) == 40
    assert Path(asked["flat"]["path"]).is_file()
    assert not [row for row in asked.values() if "missing" in row]
