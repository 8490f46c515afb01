"""What is said to need attention, and why."""

import random

import pytest
from records import rows_of, write_record

from flows.report.attention import attention
from flows.report.collect import collect
from flows.report.groups import deviations, differing
from flows.report.page import write_report
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.provenance.record import looks_path


def exposures(folder, count, *, first=0, **about):
    chance = random.Random(first)
    for number in range(first, first + count):
        statistics = {"sky": chance.gauss(1.0, 0.02), "sky_rms": 0.1, "nan_fraction": 0.01}
        write_record(folder, f"jw{number:05d}", statistics=statistics, **about)


def listed(found):
    return attention(found, deviations(found))


def test_a_level_that_is_not_that_of_the_group_stands_out(tmp_path):
    exposures(tmp_path, 20)
    write_record(tmp_path, "odd", statistics={"sky": 3.0, "sky_rms": 0.1, "nan_fraction": 0.01})
    (only,) = listed(collect([tmp_path]))
    assert (only.kind, only.item) == ("outlier", "odd_uncal.fits")
    assert only.reasons[0].startswith("odd_rate.fits: sky 3 is ")
    assert "above the median" in only.reasons[0]
    assert "of 21 (rate NIRCAM NRC_IMAGE F200W NRCB1)" in only.reasons[0]


def test_a_small_group_is_compared_with_the_wider_one_and_says_so(tmp_path):
    exposures(tmp_path, 15)
    write_record(
        tmp_path, "odd", statistics={"sky": 3.0, "sky_rms": 0.1}, header={"detector": "NRCA1"}
    )
    (only,) = listed(collect([tmp_path]))
    assert "(rate NIRCAM NRC_IMAGE F200W, a wider group since its own has under ten)" in str(only)


def test_filters_of_different_sky_are_not_mixed(tmp_path):
    exposures(tmp_path, 12)
    for number in range(12):
        about = {"sky": 9.0 + 0.01 * number, "sky_rms": 0.1}
        write_record(tmp_path, f"red{number}", statistics=about, header={"filter": "F444W"})
    assert listed(collect([tmp_path])) == []


def test_too_few_are_not_compared(tmp_path):
    exposures(tmp_path, 3)
    write_record(tmp_path, "odd", statistics={"sky": 3.0})
    assert listed(collect([tmp_path])) == []


def test_failed_come_first_then_degraded_caveats_and_outliers_by_rank(tmp_path):
    exposures(tmp_path, 20)
    write_record(tmp_path, "odd", statistics={"sky": 3.0, "sky_rms": 0.1})
    write_record(tmp_path, "odder", statistics={"sky": 30.0, "sky_rms": 0.1})
    write_record(tmp_path, "b", caveats=[{"caveat": "all NaN", "product": "b", "reason": "why"}])
    step = {"step": "tweakreg", "outcome": "Degraded", "reason": "no stars", "seconds": 1.0}
    write_record(tmp_path, "c", steps=[step])
    failed = Result("x_uncal.fits", Ended(Outcome.TIMED_OUT, "took longer than 5 s"))
    found = collect([tmp_path], [failed])
    assert [(each.kind, each.item[:5]) for each in listed(found)] == [
        ("failed", "x_unc"),
        ("degraded", "c_unc"),
        ("caveat", "b_unc"),
        ("outlier", "odder"),
        ("outlier", "odd_u"),
    ]
    assert {each.name: each.outcome for each in found.items}["x_uncal.fits"] == "TimedOut"
    assert "tweakreg: no stars" in str(listed(found)[1])


def test_parameters_and_references_that_differ_from_most(tmp_path):
    for number in range(5):
        write_record(
            tmp_path, f"a{number}", parameters={"threshold": 4.0}, references={"flat": "f1"}
        )
    write_record(tmp_path, "b", parameters={"threshold": 9.0}, references={"flat": "f2"})
    found = differing(collect([tmp_path]))
    assert found.pop("b_uncal.fits") == (
        ["jump.threshold = 9.0 (most: 4.0)"],
        ["flat_field flat = f2 (most: f1)"],
    )
    assert set(map(str, found.values())) == {"([], [])"}


def test_runs_that_follow_one_another_are_of_one_input(tmp_path):
    write_record(tmp_path, "a", log="2026-01-01 00:00:00,1 - jwst.jump - WARNING - too few\n")
    write_record(tmp_path, "a", pipeline="calwebb_image2", read="rate", made="cal", after=5)
    (item,) = collect([tmp_path]).items
    assert item.name == "a_uncal.fits"
    assert [run.pipeline for run in item.runs] == ["calwebb_detector1", "calwebb_image2"]
    assert item.runs[0].warnings == ("WARNING jwst.jump: too few",)


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    write_record(tmp_path, "a")
    write_record(tmp_path, "b").write_text("{}")
    found = collect([tmp_path])
    assert [item.name for item in found.items] == ["a_uncal.fits"]
    (line,) = found.unreadable
    assert "b_uncal.calwebb_detector1.provenance.json" in line


def test_what_somebody_else_wrote_into_records_is_taken_as_far_as_it_can_be(tmp_path):
    plain = write_record(tmp_path, "a", statistics={"sky": 1.0, "sky_rms": 0.1})
    for old, new in (("+00:00", ""), ('"sky": 1.0', '"sky": Infinity')):
        assert old in plain.read_text()
        plain.write_text(plain.read_text().replace(old, new, 1))
    write_record(tmp_path, "b", looks={"kind": "image"})  # without a picture
    looks_path(write_record(tmp_path, "c")).write_text("[1]")
    found = collect([tmp_path])
    assert [run.looks for run in found.runs] == [{}, {}, {}] and not found.unreadable
    assert found.items[0].runs[0].statistics == {"a_rate.fits": {"sky": None, "sky_rms": 0.1}}
    assert listed(found) == []
    written = tmp_path / "report.html"
    write_report(written, [tmp_path])
    assert rows_of(written)["a_uncal.fits"]["runs"][0]["started"] == "2026-05-01 00:00:00 UTC"


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match="no provenance record"):
        collect([tmp_path])
