"""Recognising input files, and refusing what is none or not whole."""

import pytest

from flows.calwebb.stages import read_input
from stpipe_prefect.exceptions import InputError


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_input(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_raw_exposure(uncal):
    found = read_input(uncal)
    assert (found.exp_type, found.time_series, found.suffix) == ("NRC_IMAGE", False, "uncal")


def test_header_tells_type_and_time_series(with_header):
    path = with_header("jw1_rateints.fits", EXP_TYPE="NRC_TSIMAGE", TSOVISIT=True)
    found = read_input(path)
    assert (found.exp_type, found.time_series, found.suffix) == ("NRC_TSIMAGE", True, "rateints")


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (None, "no such file"),
        (b"", "not a FITS file: it is empty"),
        (b"\x00\x01\x02" * 4000, "not a FITS file: it does not start with SIMPLE"),
        (b"\x1f\x8b\x08" * 4000, "not a FITS file: it is gzip-compressed; run gunzip first"),
        (b"SIMPLE  =" + bytes(100), "not a readable FITS file"),
    ],
)
def test_not_a_fits_file(tmp_path, contents, problem):
    path = tmp_path / "jw1_uncal.fits"
    if contents is not None:
        path.write_bytes(contents)
    assert refusal(path).startswith(problem)


def test_folder(tmp_path):
    assert refusal(tmp_path) == "is a folder"


@pytest.mark.parametrize("lost", [1, 100, 2880, 2881, 40_000])
def test_truncated_at_the_end(uncal, tmp_path, lost):
    path = tmp_path / uncal.name
    path.write_bytes(uncal.read_bytes()[:-lost])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize("blocks", [0.5, 1, 3])
def test_truncated_at_the_beginning(uncal, tmp_path, blocks):
    path = tmp_path / uncal.name
    path.write_bytes(uncal.read_bytes()[: int(blocks * 2880)])
    assert "FITS file" in refusal(path) or "truncated" in refusal(path)


@pytest.mark.parametrize(
    ("cards", "problem"),
    [
        ({"TELESCOP": "HST"}, "TELESCOP is HST, expected JWST"),
        ({"TELESCOP": None}, "TELESCOP is none, expected JWST"),
        ({"EXP_TYPE": None}, "no EXP_TYPE in its primary header, so no pipeline fits"),
    ],
)
def test_header_of_another_kind(with_header, cards, problem):
    assert refusal(with_header("jw1_uncal.fits", **cards)) == problem


def test_association(association):
    found = read_input(association("a_cal.fits", "b_cal.fits", asn_type="image3"))
    assert (found.kind, found.members) == ("image3", ("a_cal.fits", "b_cal.fits"))


def test_association_of_no_type(association):
    assert read_input(association("a_cal.fits")).kind == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not an association: expected JSON"),
        ("\xff\xfe", "not an association: expected JSON"),
        ("[]", "not an association: expected JSON"),
        ('"products"', "not an association: expected JSON"),
        ('{"products": [{"members": [{"expname": 3}]}]}', "not an association: expected JSON"),
        ('{"products": [{"members": []}]}', "an association without members"),
        ('{"products": []}', "an association without members"),
    ],
)
def test_not_an_association(tmp_path, text, problem):
    path = tmp_path / "some_asn.json"
    path.write_bytes(text.encode("latin-1"))
    assert refusal(path).startswith(problem)
