"""A product followed back to its raw data, in a terminal, as JSON and as W3C PROV."""

import json
from pathlib import Path

import pytest

from stpipe_prefect.cli.main import main
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import Record, record_path

FLAT = {"step": "flat_field", "type": "flat", "file": "flat_0001.fits", "sha1": "f1a7"}
NONE = {"step": "flat_field", "type": "fflat", "file": "N/A"}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A mosaic of two exposures, its inputs in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    Path("cal").mkdir()
    for name in "ab":
        make(f"cal/{name}_rate.fits", "detector1", [f"cal/{name}_uncal.fits"])
        make(f"cal/{name}_cal.fits", "image2", [f"cal/{name}_rate.fits"], FLAT, NONE)
    make("m_i2d.fits", "image3", ["m_asn.json", "cal/a_cal.fits", "cal/b_cal.fits"])
    return tmp_path


def make(product, pipeline, inputs, *references):
    for name in (product, *inputs):
        if not Path(name).exists():
            Path(name).write_text(name)
    contents = [FileContent.of(Path(name).absolute()) for name in inputs]
    made_from = Dependencies(
        f"jwst.{pipeline}", "jwst", "jwst_0001.pmap", "", "", contents, [], [*references],
        {"jwst": "3.0.0"},
    )  # fmt: skip
    stem = Path(inputs[0]).stem if pipeline != "image3" else "m"
    path = record_path(Path(product).parent.absolute(), f"{stem}.{pipeline}")
    started = f"2026-01-01T00:00:{len(list(Path().rglob('*.json'))):02}"
    run = {"pipeline": pipeline, "name": f"{stem}.{pipeline}", "started": started}
    run["flow_run"] = "one-batch"  # of all of them
    staging = path.parent / "staging"
    staging.mkdir(exist_ok=True)
    Record(path, made_from, run, [], [FileContent.of(Path(product).absolute())]).write(staging)
    staging.rmdir()


def test_tree_shows_what_was_made_from_what(archive, capsys):
    assert main(["provenance", "m_i2d.fits", "--graph"]) == 0
    by = "jwst 3.0.0, jwst_0001.pmap"
    assert capsys.readouterr().out.splitlines() == [
        f"m_i2d.fits  image3, {by}",
        "├── m_asn.json",
        f"├── a_cal.fits  image2, {by}",
        "│   ├── flat_0001.fits  flat_field flat",
        f"│   └── a_rate.fits  detector1, {by}",
        "│       └── a_uncal.fits",
        f"└── b_cal.fits  image2, {by}",
        "    ├── flat_0001.fits  flat_field flat",
        f"    └── b_rate.fits  detector1, {by}",
        "        └── b_uncal.fits",
    ]


def test_json_has_the_whole_tree(archive, capsys):
    assert main(["provenance", "m_i2d.fits", "--graph", "--json"]) == 0
    mosaic = json.loads(capsys.readouterr().out)
    cal = mosaic["inputs"][2]
    assert (cal["file"], cal["run"]["pipeline"], cal["references"]) == (
        "b_cal.fits",
        "image2",
        [FLAT],
    )
    raw = cal["inputs"][0]["inputs"][0]
    assert raw["file"] == "b_uncal.fits" and "record" not in raw


def test_product_that_was_made_again_since_is_marked(archive, capsys):
    Path("cal/a_rate.fits").write_text("another")
    make("cal/a_rate.fits", "detector1", ["cal/a_uncal.fits"])
    assert main(["provenance", "m_i2d.fits", "--graph"]) == 0
    changed = [line for line in capsys.readouterr().out.splitlines() if "changed since" in line]
    assert len(changed) == 1 and "a_rate.fits" in changed[0]


def test_prov_is_read_by_its_library(archive, capsys):
    from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity

    assert main(["provenance", "m_i2d.fits", "--prov"]) == 0
    document = ProvDocument.deserialize(content=capsys.readouterr().out, format="json")
    labels = {str(entity.label) for entity in document.get_records(ProvEntity)}
    assert labels == {
        *("m_i2d.fits", "m_asn.json", "flat_0001.fits"),
        *(f"{name}_{kind}.fits" for name in "ab" for kind in ("cal", "rate", "uncal")),
    }
    assert len(list(document.get_records(ProvActivity))) == 5
    assert len(list(document.get_records(ProvDerivation))) == 7


def test_archive_may_be_moved(archive, capsys):
    assert main(["provenance", "cal/a_cal.fits", "--graph"]) == 0
    before = capsys.readouterr().out
    Path("cal").rename("moved")
    assert main(["provenance", "moved/a_cal.fits", "--graph"]) == 0
    assert capsys.readouterr().out == before and "a_uncal.fits" in before


def test_run_that_replaced_its_own_input_ends_the_tree(archive, capsys):
    make("cal/a_rate.fits", "clean", ["cal/a_rate.fits"])
    for path in Path("cal").glob("a_uncal.detector1*"):
        path.unlink()  # as the run did that replaced its product
    assert main(["provenance", "cal/a_rate.fits", "--graph"]) == 0
    by = "clean, jwst 3.0.0, jwst_0001.pmap"
    assert capsys.readouterr().out.splitlines() == [f"a_rate.fits  {by}", "└── a_rate.fits"]
    assert main(["provenance", "cal/a_rate.fits", "--prov"]) == 0
