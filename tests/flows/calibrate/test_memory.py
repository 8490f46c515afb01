"""Associations that do not fit the free memory are combined by way of the disk."""

import json

import pytest

from flows.calibrate.job import Job
from flows.calibrate.memory import GROWTH, expected_in_memory_mb, layers_for_memory
from stpipe_prefect import Pipeline
from stpipe_prefect.execution.capacity import AT_REST_MB
from stpipe_prefect.provenance.collect import fingerprint_without_parameters
from stpipe_prefect.provenance.dependencies import Dependencies, differences
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import Record

MB = 1_000_000
MORE_THAN_ANYBODY_HAS = 1e9


class Combine(Pipeline):
    """Holds all members, or one at a time."""

    class_alias = "combine"
    spec = "in_memory = boolean(default=True)"


class Other(Pipeline):
    """Has no choice."""

    class_alias = "other"


@pytest.fixture
def association(tmp_path):
    members = [{"expname": "one_cal.row", "exptype": "science"}]
    path = tmp_path / "all_asn.json"
    path.write_text(json.dumps({"products": [{"name": "all", "members": members}]}))
    (tmp_path / "one_cal.row").write_bytes(bytes(MB))
    return Job(path, (f"{__name__}.Combine",))


@pytest.fixture
def recorded(association, tmp_path, monkeypatch):
    """Write the record of an earlier run, with such a peak of its memory."""
    monkeypatch.setattr("flows.calibrate.job.find_step", lambda name: Combine)
    path = association.record(tmp_path, None)

    def record(peak, *, held=True, given=""):
        row = {"step": "", "parameter": "in_memory", "value": held, "source": given}
        inputs = [FileContent.of(tmp_path / "one_cal.row")]
        made_from = Dependencies("Combine", "jwst", "1.pmap", "", "", inputs, [row], [], {})
        made = Record(path, made_from, {"peak_memory_mb": peak, "outcome": "Completed"}, [], [])
        made.write(by_way_of=tmp_path)
        return made

    return record


def test_what_does_not_fit_is_held_one_by_one(association, recorded, tmp_path):
    recorded(MORE_THAN_ANYBODY_HAS)
    (layer,) = layers_for_memory(association, Combine, tmp_path, None)
    assert (str(layer.source), layer.values) == ("memory", {"in_memory": False})
    assert layers_for_memory(association, Other, tmp_path, None) == []
    exposure = Job(tmp_path / "one_cal.row", association.pipelines)
    assert layers_for_memory(exposure, Combine, tmp_path, None) == []


def test_what_fits_is_left_alone(association, recorded, tmp_path):
    recorded(1.0)
    assert layers_for_memory(association, Combine, tmp_path, None) == []


def test_need_is_that_of_the_last_run_or_of_the_members(recorded, tmp_path):
    path = tmp_path / "none.json"
    assert expected_in_memory_mb(100 * MB, path) == AT_REST_MB + 100 * GROWTH
    path = recorded(500.0).path
    assert expected_in_memory_mb(MB, path) == 500.0
    assert expected_in_memory_mb(3 * MB, path) == 1500.0
    recorded(500.0, held=False)
    assert expected_in_memory_mb(100 * MB, path) == AT_REST_MB + 100 * GROWTH


def test_where_members_were_held_is_no_difference(recorded):
    held, read_again = recorded(1.0).dependencies, recorded(1.0, held=False).dependencies
    assert [*differences(held, read_again)] == []


def test_record_alone_tells_as_before_that_there_is_nothing_to_do(association, recorded, tmp_path):
    recorded(MORE_THAN_ANYBODY_HAS)
    layers = layers_for_memory(association, Combine, tmp_path, None)
    assert layers
    plain = fingerprint_without_parameters("Combine")
    assert fingerprint_without_parameters("Combine", layers) == plain
