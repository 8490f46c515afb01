"""A record is whole, or there is none and it is said why."""

import json

import pytest

from stpipe_prefect.cli.main import main
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import (
    Record,
    find_record,
    find_run,
    read_record,
    record_path,
    run_name,
)


@pytest.fixture
def record(tmp_path):
    """A record and its product."""
    product = tmp_path / "a_rate.fits"
    product.write_text("rate")
    dependencies = Dependencies(
        pipeline="lantern.CalibratePipeline",
        observatory="lantern",
        context="lantern_0001.pmap",
        server="",
        request="",
        inputs=[FileContent("a_uncal.fits", 3, 1, 2, "ab")],
        parameters=[{"step": "jump", "parameter": "threshold", "value": 4.0, "source": ""}],
        references=[{"step": "flat", "type": "flat", "file": "flat_0001.fits", "sha1": "cd"}],
        software={"lantern": "1.0"},
    )
    run = {"pipeline": "calibrate", "started": "2026-01-02T03:04:05+00:00", "seconds": 1.0}
    path = record_path(tmp_path, run_name("a_uncal.fits", "calibrate"))
    made = Record(path, dependencies, run, [], [FileContent.of(product)])
    (tmp_path / "staging").mkdir()
    made.write(by_way_of=tmp_path / "staging")
    return path


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.update(references=None), "references: Input should be a valid array"),
        (lambda c: c.update(inputs={}), "inputs: Input should be a valid array"),
        (lambda c: c["inputs"][0].update(size="3"), "inputs.0.size: Input should be a valid int"),
        (lambda c: c.pop("software"), "software: Field required"),
        (lambda c: c["parameters"][0].pop("step"), "parameters.0.step: Field required"),
        (lambda c: c["references"][0].update(file=1), "references.0.file: Input should be a valid"),
        (lambda c: c["run"].update(pipeline=1), "run.pipeline: Input should be a valid str"),
        (lambda c: c["run"].update(peak_memory_mb=None), "run.peak_memory_mb: Input should be"),
        (lambda c: c["products"][0].pop("sha256"), "products.0.sha256: Field required"),
        (lambda c: c.update(steps=[{}]), "steps.0.step: Field required"),
    ],
)
def test_damaged_record_is_none(record, change, why):
    edit(record, change)
    with pytest.raises(InputError) as caught:
        read_record(record)
    assert str(caught.value).startswith(f"{record}: no provenance record, because {why}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"a": 1}',
        pytest.param(b"[" * 99_999, id="deep"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(record, content):
    record.write_bytes(content)
    with pytest.raises(InputError, match="no provenance record, because"):
        read_record(record)


def test_damaged_record_does_not_hide_that_of_another_product(record):
    (record.parent / "A.provenance.json").write_text("{}")
    assert find_record(record.parent / "a_rate.fits").path == record
    with pytest.raises(InputError, match=r"b.fits: no provenance record .*; .*A.prov.* required"):
        find_record(record.parent / "b.fits")


def test_verification_tells_that_a_record_was_changed(record, capsys):
    assert main(["provenance", str(record), "--verify"]) == 0
    edit(record, lambda content: content["parameters"][0].update(value=5.0))
    assert main(["provenance", str(record)]) == 0
    capsys.readouterr()
    assert main(["provenance", str(record), "--verify"]) == 1
    assert capsys.readouterr().err == (
        f"error: record {record.name} was changed: its fingerprint is not that of the inputs, "
        "parameters, references and code it lists\n"
    )


def test_name_of_a_record_is_never_too_long(tmp_path):
    one, other = (run_name(f"{'n' * 240}{end}.fits", "calwebb_detector1") for end in "ab")
    assert one != other
    record_path(tmp_path, one).touch()
    assert run_name("a_uncal.fits", "calwebb_detector1") == "a_uncal.calwebb_detector1"


def associate(path, *products):
    members = [{"expname": "a_rate.fits", "exptype": "science"}]
    listed = [{"name": name, "members": members} for name in products]
    path.write_text(json.dumps({"products": listed}))
    return path


def test_record_is_named_after_what_is_made(tmp_path):
    one = associate(tmp_path / "l2asn.json", "a")
    three = associate(tmp_path / "all_asn.json", "a", "b", "c")
    other = associate(tmp_path / "other_asn.json", "a", "b", "d")
    assert run_name(str(one), "image2") == "a.image2"
    assert run_name(json.loads(one.read_text()), "image2") == "a.image2"
    assert run_name(str(three), "image2").startswith("a+2-")
    assert run_name(str(three), "image2") != run_name(str(other), "image2")
    assert run_name("a_rate.fits", "image2", "mine.fits") == "mine.image2"


def as_first_edition(path, name):
    """Write a record as the release before the second edition did, under its name."""
    content = json.loads(path.read_text())
    for field in ("code", "caveats", "statistics"):
        del content[field]
    del content["run"]["outcome"]
    content["schema"] = "stpipe_prefect/provenance-1.0.0"
    earlier = path.with_name(f"{name}.provenance.json")
    path.unlink()
    earlier.write_text(json.dumps(content))
    return earlier


def test_record_of_the_first_edition_is_found_and_holds(record, capsys):
    association = associate(record.parent / "l2asn.json", "a")
    earlier = as_first_edition(record, "l2asn.calibrate")
    assert find_run(record.parent, str(association), "calibrate") == earlier
    assert main(["provenance", str(earlier), "--verify"]) == 0
    assert capsys.readouterr().err == "1 products verified: checksums match\n"
    associate(association, "b")  # overwritten for the next exposure
    assert find_run(record.parent, str(association), "calibrate").name.startswith("b.calibrate.")


def test_what_a_later_version_adds_is_left_out(record):
    def add(content):
        content.update(schema="stpipe_prefect/provenance-2.7.1", more=1)
        for field in ("inputs", "products", "parameters"):
            for row in content[field]:
                row["more"] = {}

    before = read_record(record)
    edit(record, add)
    assert read_record(record).dependencies.fingerprint == before.dependencies.fingerprint
    edit(record, lambda content: content.update(schema="stpipe_prefect/provenance-3.0.0"))
    with pytest.raises(InputError, match=r"its schema is .*-3\.0\.0, expected .*-2\.0\.0 or an"):
        read_record(record)
