"""What a file of Roman is, and which pipeline it goes through."""

import json
import shutil
from pathlib import Path

import asdf
import pytest

from flows.calibrate.inputs import find_inputs
from flows.calibrate.jobs import plan_jobs
from flows.romancal.header import facts_of, read_exposure
from flows.romancal.mission import ROMAN
from flows.romancal.pipelines import job_for
from stpipe_prefect.exceptions import InputError, UsageError


def test_path_that_asdf_would_misread(tmp_path):
    path = tmp_path / "a#1_uncal.asdf"
    path.touch()
    with pytest.raises(InputError) as caught:
        read_exposure(path)
    assert str(caught.value).startswith(f"{path}: asdf reads its path as a URI, where # ? ;")


@pytest.fixture(scope="module")
def uncal(roman):
    return roman.exposures[0]


@pytest.fixture
def association(tmp_path):
    def make(*members):
        listed = [{"expname": member, "exptype": "science"} for member in members]
        path = tmp_path / "some_asn.json"
        path.write_text(json.dumps({"products": [{"name": "p", "members": listed}]}))
        return path

    return make


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_exposure(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_metadata_of_an_exposure(uncal):
    meta = read_exposure(uncal)
    assert (meta["exposure"]["type"], meta["instrument"]["detector"]) == ("WFI_IMAGE", "WFI01")


@pytest.mark.parametrize("lost", [2000, 10_000, 300_000])
def test_truncated_in_the_data(uncal, tmp_path, lost):
    path = tmp_path / uncal.name
    path.write_bytes(uncal.read_bytes()[:-lost])
    assert refusal(path).startswith(f"truncated: {path.stat().st_size} bytes, its blocks declare")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not an ASDF file: it is empty"),
        (b"SIMPLE  = " + bytes(100), "not an ASDF file: it does not start with #ASDF"),
        (b"#ASDF 1.0.0\n%YAML 1.1\n--- {", "truncated within its tree: 27 bytes"),
        (b"#ASDF 1.0.0\n%YAML 1.1\n---\na: 1\n...\n", "not a Roman exposure: expected roman.meta"),
        (b"#ASDF 1.0.0\n%YAML 1.1\n---\na: [\n...\n", "not a Roman exposure: expected roman.meta"),
        (
            b"#ASDF 1.0.0\n%YAML 1.1\n---\nroman: {meta: {telescope: HST}}\n...\n",
            "telescope is HST, expected ROMAN",
        ),
    ],
)
def test_no_exposure_of_roman(tmp_path, content, problem):
    path = tmp_path / "r1_uncal.asdf"
    path.write_bytes(content)
    assert refusal(path).startswith(problem)


def test_file_without_blocks_is_whole(tmp_path):
    path = tmp_path / "r1_uncal.asdf"
    asdf.AsdfFile({"roman": {"meta": {"telescope": "ROMAN"}}}).write_to(path)
    assert read_exposure(path) == {"telescope": "ROMAN"}


def test_raw_exposures_are_calibrated_and_calibrated_ones_combined(uncal, association):
    assert job_for(uncal).pipelines == ("roman_elp",)
    assert job_for(association("a_cal.asdf", "b_cal.asdf")).pipelines == ("roman_mos",)
    assert job_for(association("a_uncal.asdf", "b_uncal.asdf")).pipelines == ("roman_elp",)
    assert job_for(uncal, pipeline="roman_mos").pipelines == ("roman_mos",)


def test_nothing_takes_a_calibrated_exposure_by_itself(uncal, tmp_path):
    path = Path(shutil.copy(uncal, tmp_path / "r1_cal.asdf"))
    with pytest.raises(UsageError, match=r"give an _uncal\.asdf file, an association, or --pip"):
        job_for(path)


def test_folder_gives_exposures_and_what_combines_them(uncal, association, tmp_path):
    raw = Path(shutil.copy(uncal, tmp_path))
    path = association("a_uncal.asdf")
    assert list(find_inputs([str(tmp_path)], ROMAN)) == [raw]
    association("a_cal.asdf")
    assert list(find_inputs([str(tmp_path)], ROMAN)) == [raw, path]


def test_mosaic_waits_for_the_association_that_calibrates_its_exposures(uncal, tmp_path):
    raw = Path(shutil.copy(uncal, tmp_path / "r1_uncal.asdf"))
    paths = []
    for name, product, member in [("mos", "m", "r1_cal.asdf"), ("elp", "p", "r1_uncal.asdf")]:
        members = [{"expname": member, "exptype": "science"}]
        paths.append(tmp_path / f"{name}_asn.json")
        paths[-1].write_text(json.dumps({"products": [{"name": product, "members": members}]}))
    jobs, _ = plan_jobs([*paths, raw], ROMAN)
    assert [(job.input.name, job.pipelines) for job in jobs] == [
        ("elp_asn.json", ("roman_elp",)),
        ("mos_asn.json", ("roman_mos",)),
    ]
    by_name = {job.input.name: job for job in jobs}
    assert {path.name for path in by_name["mos_asn.json"].needs} == {"elp_asn.json"}


META = {
    "instrument": {"detector": "WFI01", "optical_element": "F158"},
    "observation": {"visit": 2, "program": 1},
    "visit": {"dither": {"primary_name": "NONE"}},
}


def test_facts_are_metadata_by_path_or_by_the_end_of_it():
    asked = ["filter", "Detector", "observation.visit", "dither.primary_name", "none"]
    assert facts_of(Path("r1.asdf"), META, asked) == {
        "filter": "F158",
        "Detector": "WFI01",
        "observation.visit": "2",
        "dither.primary_name": "NONE",
    }


def test_name_of_several_metadata_is_no_fact():
    meta = META | {"wcsinfo": {"detector": "WFI02"}}
    with pytest.raises(
        InputError, match=r"detector: several of that name: instrument\.detector, w"
    ):
        facts_of(Path("r1.asdf"), meta, ["detector"])
