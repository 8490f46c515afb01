"""Why two products differ, as the records beside them and beside their inputs say."""

from dataclasses import replace

import pytest

from stpipe_prefect.comparison.causes import Cause, Records
from stpipe_prefect.comparison.folders import compare_folders
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import Record, record_path

FLAT = Cause("calwebb_image2", "reference flat 0001 → 0002")
THRESHOLD = Cause("calwebb_detector1", "parameter jump.threshold 4.0 → 5.0")


@pytest.fixture
def chain(tmp_path):
    """Write an exposure, its rate and its cal, with records of what the last two were made from."""

    def record(folder, pipeline, product, source, threshold=4.0, flat="0001", numpy="2.0"):
        made_from = Dependencies(
            pipeline=f"jwst.{pipeline}",
            observatory="jwst",
            context="",
            server="",
            request="",
            inputs=[FileContent.of(folder / source)],
            parameters=[
                {"step": "jump", "parameter": "threshold", "value": threshold, "source": ""}
            ],
            references=[
                {"step": "flat_field", "type": "flat", "file": f"jwst_nircam_flat_{flat}.fits"}
            ],
            software={"numpy": numpy},
        )
        path = record_path(folder, f"{source.partition('.')[0]}.{pipeline}")
        made = [FileContent.of(folder / product)]
        Record(path, made_from, {"pipeline": pipeline}, [], made).write(by_way_of=tmp_path)

    def make(name, threshold=4.0, flat="0001", numpy="2.0"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "uncal.json").write_text("[1]")
        (folder / "rate.json").write_text(f"[{threshold}]")
        record(folder, "calwebb_detector1", "rate.json", "uncal.json", threshold)
        (folder / "cal.json").write_text(f'[{threshold}, "{flat}"]')
        record(folder, "calwebb_image2", "cal.json", "rate.json", 4.0, flat, numpy)
        return folder

    return make


def explain(a, b, name="cal.json"):
    return Records().explain(a / name, b / name)


def test_inputs_are_followed_to_what_they_were_made_from(chain):
    a, b = chain("a"), chain("b", threshold=5.0, flat="0002")
    assert explain(a, b).causes == [THRESHOLD, FLAT]
    assert explain(a, b, "rate.json").causes == [THRESHOLD]
    assert explain(a, a).causes == []


def test_folder_that_was_moved_is_searched_for_inputs(chain, tmp_path):
    a, b = chain("a"), chain("b", threshold=5.0)
    a, b = a.rename(tmp_path / "c"), b.rename(tmp_path / "d")
    assert explain(a, b).causes == [THRESHOLD]


def test_input_made_again_since_explains_nothing(chain):
    a, b = chain("a"), chain("b", threshold=5.0)
    (record,) = b.glob("uncal.*.provenance.json")
    record.unlink()
    assert explain(a, b).causes == [Cause("calwebb_image2", "input rate.json changed")]


def test_recorded_software_is_named(chain):
    assert explain(chain("a"), chain("b", numpy="2.1")).causes == [
        Cause("calwebb_image2", "numpy 2.0 → 2.1")
    ]


def test_product_changed_by_hand(chain):
    a, b = chain("a"), chain("b")
    (b / "cal.json").write_text("[0]")
    assert explain(a, b).causes == [
        Cause("calwebb_image2", f"{b / 'cal.json'} was changed after it was made")
    ]


def test_without_a_record_nothing_is_known(chain):
    a, b = chain("a"), chain("b", flat="0002")
    for record in b.glob("*.provenance.json"):
        record.unlink()
    explanation = explain(a, b)
    assert explanation.causes == []
    assert explanation.unknown == [f"{b / 'cal.json'}: no provenance record beside it names it"]


def test_folders_are_paired_by_name(chain):
    a, b = chain("a"), chain("b", flat="0002")
    (a / "only_a.ecsv").touch()
    (b / "only_b.fits").touch()
    (a / "log.log").touch()
    (a / "previous").mkdir()
    (a / "broken.json").write_text("{")
    (b / "broken.json").write_text("{")
    found = compare_folders(a, b)
    assert (found.only_in_a, found.only_in_b) == (["only_a.ecsv"], ["only_b.fits"])
    assert list(found.unreadable) == ["broken.json"]
    assert {p.a.name: p.is_identical for p in found.products} == {
        "cal.json": False,
        "rate.json": True,
        "uncal.json": True,
    }
    assert [p.causes for p in found.products] == [[FLAT.text], [], []]
    assert not found.is_identical
    assert not replace(found, products=[], unreadable={}, only_in_a=[]).is_identical
    assert replace(found, products=[], unreadable={}, only_in_a=[], only_in_b=[]).is_identical


def test_empty_folders_are_a_mistake(tmp_path):
    with pytest.raises(InputError, match="neither folder has products"):
        compare_folders(tmp_path, tmp_path)
