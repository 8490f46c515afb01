"""Mosaics of Roman exposures that have something in common."""

import pytest

from flows.calibrate.jobs import plan_jobs
from flows.romancal.associations import associate
from flows.romancal.mission import ROMAN
from stpipe_prefect.exceptions import InputError, UsageError

MOSAIC = "r00001_f158_asn.json"


def test_exposures_of_a_filter_are_a_mosaic_that_waits_for_them(roman, tmp_path):
    made = associate(roman.exposures, by=["filter"])
    (association,) = made.associations
    assert association.members == tuple(
        path.name.replace("_uncal", "_cal") for path in roman.exposures
    )
    jobs, refused = plan_jobs([*roman.exposures, *made.written(tmp_path)], ROMAN)
    assert (refused, jobs[-1].input.name, jobs[-1].pipelines) == ({}, MOSAIC, ("roman_mos",))
    assert jobs[-1].needs == {*roman.exposures}


def test_romancal_reads_what_is_written(roman, tmp_path):
    from romancal.associations import load_asn

    (path,) = associate(roman.exposures, by=["filter", "visit"]).written(tmp_path)
    with path.open() as file:
        association = load_asn(file)
    assert association["products"][0]["name"] == path.name.removesuffix("_asn.json")
    assert association["target"] == "none"  # any other would be the name of a sky cell


@pytest.mark.parametrize(
    ("by", "error", "problem"),
    [
        ([], UsageError, "needs by=filter.*skycell_asn"),
        (["colour"], InputError, "by=colour: nothing of that name"),
        (["type"], InputError, "by=type: several of that name.*choose from"),
    ],
)
def test_other_groupings_are_refused(roman, by, error, problem):
    with pytest.raises(error, match=problem):
        associate(roman.exposures, by=by)
