"""Archives of Roman, and of both missions: what is stale, in which order, under which context."""

import json
import shutil

import pytest
from crds.core import utils

from flows.reprocess.summary import Summary
from flows.reprocess.survey import survey

# jwst has stpipe ask crds, which means to change
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock' is deprecated:DeprecationWarning")

IMAGE = "jw01234001001_02101_00001_nrcb1_uncal.fits"


@pytest.fixture(scope="module")
def cache(small, roman, tmp_path_factory):
    """The miniature CRDS caches of both, in one."""
    folder = tmp_path_factory.mktemp("both") / "crds"
    for path in (small.crds_path, roman.crds_path):
        shutil.copytree(path, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def archive(cache, roman, roman_products, tmp_path, monkeypatch):
    """Roman's exposures, their mosaic and all that was made of them, in one folder."""
    for name in ("CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRDS_PATH", str(cache))
    utils.clear_function_caches()
    folder = shutil.copytree(roman_products / "out", tmp_path / "archive")
    for path in (*roman.exposures, roman.association):
        shutil.copy(path, folder)
    yield folder
    utils.clear_function_caches()


def add_jwst(archive, small):
    """Put an exposure of JWST beside Roman's that was never calibrated."""
    shutil.copy(small.program.exposures[0], archive / IMAGE)


def test_nothing_is_stale_under_the_same_context(archive, roman):
    items = survey([archive], "roman_0001.pmap")
    names = [path.name for path in (*roman.exposures, roman.association)]
    assert [item.input.name for item in items] == names
    assert Summary(items).stale == [] and not [item.error for item in items if item.error]


def test_mosaic_is_stale_if_a_member_will_be_remade(archive, roman):
    *exposures, mosaic = survey([archive], "roman_0002.pmap")
    for item in exposures:
        assert [plan.reasons for plan in item.stale] == [("reference flat 0001 → 0002",)]
    (plan,) = mosaic.stale
    first = roman.exposures[0].name.replace("_uncal", "_cal")
    assert plan.reasons == (f"input {first} and 2 more will be remade",)


def test_mosaic_of_any_name_comes_after_its_members(archive, roman):
    (archive / roman.association.name).rename(archive / "all_asn.json")
    assert survey([archive], "roman_0002.pmap")[-1].input.name == "all_asn.json"


def test_both_missions_each_under_its_context(archive, roman, small):
    add_jwst(archive, small)
    jwst, *others = survey([archive], "roman_0002.pmap")
    assert (jwst.input.name, jwst.context) == (IMAGE, "jwst_0001.pmap")
    assert [item.mission.command for item in others] == ["romancal"] * 4
    summary = Summary([jwst, *others])
    assert str(summary).startswith("5 of 5 stale under jwst_0001.pmap and roman_0002.pmap: ")
    listed = archive / "list.txt"
    listed.write_text(f"{roman.exposures[0].name}\n{roman.association.name}\n{IMAGE}\n")
    assert {item.input.name: item.mission.command for item in survey([listed])} == {
        IMAGE: "calwebb",
        roman.exposures[0].name: "romancal",
        roman.association.name: "romancal",
    }


def test_mission_whose_context_cannot_be_used_is_no_obstacle_for_the_other(
    archive, small, monkeypatch
):
    add_jwst(archive, small)
    monkeypatch.setenv("CRDS_SERVER_URL_JWST", "http://localhost:9")
    monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "1")
    jwst, *others = survey([archive])
    assert "connection refused" in jwst.error.lower()
    assert [item.error for item in others] == [""] * 4


def test_association_of_one_mission_is_not_for_the_other(archive, small):
    add_jwst(archive, small)
    table = {"asn_type": "image3", "products": [{"name": "x", "members": []}]}
    members = [{"expname": IMAGE.replace("uncal", "cal"), "exptype": "science"}]
    table["products"][0]["members"] = members
    (archive / "x_asn.json").write_text(json.dumps(table))
    found = {item.input.name: item.mission.command for item in survey([archive])}
    assert found["x_asn.json"] == "calwebb" and len(found) == 6
