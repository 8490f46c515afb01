"""Nobody's work is overwritten unasked."""

import errno
import os
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from lantern.model import Row
from lantern.pipelines import CalibratePipeline

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import OutputError
from stpipe_prefect.provenance.ownership import is_whole
from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own

TEXTS = {
    "json": '{"a": [1, 2]}',
    "ecsv": "# %ECSV 1.0\na b\n1 2\n",
    "parquet": "PAR1 columns PAR1",
}

PRODUCT = Path("out/one_cal.row")


class OtherPipeline(CalibratePipeline):
    """Makes products of the same names, and is called otherwise."""

    class_alias = "lantern_other"


def calibrate(pipeline=CalibratePipeline, **options):
    return as_flow(pipeline)("one_raw.row", output_dir="out", return_state=True, **options)


@pytest.fixture
def made(mission, prefect_server):
    assert calibrate().name == "Completed"
    return PRODUCT


def test_product_that_somebody_changed_is_left_alone(made):
    Row([7.0]).save(str(made))
    with pytest.raises(OutputError) as caught:
        as_flow(CalibratePipeline)("one_raw.row", output_dir="out")
    line = str(caught.value)
    assert line.startswith("out/one_cal.row was changed since lantern_calibrate made it (20")
    assert "calibrate that file to continue from it, or replace it with --overwrite" in line
    assert Row.open(made).data == [7.0]
    assert calibrate(overwrite=True).name == "Completed"
    assert Row.open(made).data == [0.0, 4.5, 24.5, 0.0]


def test_product_that_was_cut_short_is_made_again(made):
    made.write_text(made.read_text()[:-20])
    assert as_flow(CalibratePipeline).plan("one_raw.row", output_dir="out").reasons == (
        "product one_cal.row is damaged",
    )
    assert calibrate().name == "Completed"
    assert is_whole(made)


def test_product_that_another_pipeline_made_is_left_alone(made):
    before = made.read_bytes()
    with pytest.raises(OutputError, match=r"one_cal.row was made by lantern_calibrate .*replaced"):
        as_flow(OtherPipeline)("one_raw.row", output_dir="out")
    assert made.read_bytes() == before
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "one_cal.row",
        "one_raw.lantern_calibrate.log",
        "one_raw.lantern_calibrate.provenance.json",
    ]
    assert calibrate(OtherPipeline, overwrite=True).name == "Completed"
    assert find_record(made)


def test_what_a_derived_pipeline_made_is_known_beforehand(mission, prefect_server):
    calibrate(OtherPipeline)
    plan = as_flow(CalibratePipeline).plan("one_raw.row", output_dir="out")
    assert plan.reasons == ("no product",)
    assert str(plan).startswith("refused: out: one_cal.row made by ")
    assert "choose another output folder, or replace with --overwrite" in str(plan)


@pytest.mark.parametrize("kind", ["fits", "asdf", "json", "ecsv", "parquet"])
def test_whole_files_and_others(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "fits":
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((64, 64)))]).writeto(path)
    elif kind == "asdf":
        asdf.AsdfFile({"data": np.ones((64, 64))}).write_to(path)
    else:
        path.write_text(TEXTS[kind])
    assert is_whole(path)
    path.write_bytes(path.read_bytes()[: -3000 if kind in ("fits", "asdf") else -3])
    assert not is_whole(path)
    path.write_bytes(b"")
    assert not is_whole(path)


def test_what_was_changed_is_not_taken_by_another_pipeline(made):
    Row([7.0]).save(str(made))
    with pytest.raises(OutputError, match=r"one_cal.row was made by lantern_calibrate .*replaced"):
        as_flow(OtherPipeline)("one_raw.row", output_dir="out")
    assert Row.open(made).data == [7.0]


def test_one_record_claims_a_file_after_it_was_replaced(made):
    assert calibrate(OtherPipeline, overwrite=True).name == "Completed"
    (record,) = Path("out").glob("*.provenance.json")
    assert record.name == "one_raw.lantern_other.provenance.json"
    assert [log.name for log in Path("out").glob("*.log")] == ["one_raw.lantern_other.log"]
    assert find_record(made).run["pipeline"] == "lantern_other"


def test_class_that_a_record_names_need_not_be_there(mission, prefect_server):
    calibrate(OtherPipeline)
    record = Path("out/one_raw.lantern_other.provenance.json")
    record.write_text(record.read_text().replace(f'"{__name__}.Other', '"gone.Other'))
    assert (
        "made by gone.OtherPipeline"
        in as_flow(CalibratePipeline).plan("one_raw.row", output_dir="out").refusal
    )


def test_fits_file_cut_within_a_header_is_not_whole(tmp_path):
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((64, 64)))]).writeto(path)
    path.write_bytes(path.read_bytes()[:5000])
    assert not is_whole(path)


def test_asdf_file_without_its_end_is_not_whole(tmp_path):
    path = tmp_path / "x.asdf"
    asdf.AsdfFile({"data": np.ones((64, 64))}).write_to(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_whole(path)


def test_record_that_cannot_be_read_protects_its_products(made, monkeypatch):
    record = next(made.parent.glob("*.provenance.json"))
    before = made.read_bytes()
    read_text = Path.read_text

    def read(path, *args, **kwargs):
        if path.name == record.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read)
    plan = as_flow(CalibratePipeline).plan("one_raw.row", output_dir="out")
    assert plan.refusal == (
        f"{record}: this provenance record cannot be read (Permission denied): have its owner "
        "make it readable, or choose another output folder"
    )
    for pipeline in (CalibratePipeline, OtherPipeline):
        with pytest.raises(OutputError, match="this provenance record cannot be read"):
            as_flow(pipeline)("one_raw.row", output_dir="out", overwrite=True)
    assert made.read_bytes() == before


def test_long_names_of_inputs(mission, prefect_server):
    name = "n" * 240
    Path("one_raw.row").rename(f"{name}_raw.row")
    flow = as_flow(CalibratePipeline)
    assert flow(f"{name}_raw.row", output_dir="out", return_state=True).name == "Completed"
    assert flow.plan(f"{name}_raw.row", output_dir="out").is_up_to_date
    (record,) = Path("out").glob("*.provenance.json")
    assert [Path(made.path).name for made in find_record(record).products] == [f"{name}_cal.row"]
