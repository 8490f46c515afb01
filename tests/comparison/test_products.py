"""What differs between two products, and by how much."""

import json

import asdf
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from stpipe_prefect.comparison.flags import Flag
from stpipe_prefect.comparison.products import Change, compare_products
from stpipe_prefect.exceptions import InputError


def parts(a, b, **tolerance):
    """Give what differs, by its name."""
    found = compare_products(a, b, **tolerance)
    return {part.name: part for part in found.parts if not part.is_identical}


def test_dates_names_checksums_and_logs_do_not_count(image):
    found = compare_products(image(), image())
    assert found.is_identical
    names = ["PRIMARY", "SCI", "ERR", "DQ", "EXTRACT1D", "ASDF"]
    assert [part.name for part in found.parts] == names


def changed(sci):
    sci = sci.copy()
    sci[2:5] *= 1.25
    sci[0, 0], sci[7, 7] = np.nan, np.inf
    return sci


def test_figures_are_those_of_numpy(image):
    a, b = image(lambda sci: np.where(sci > 11.5, np.nan, sci)), image(changed)
    with fits.open(a) as one, fits.open(b) as other:
        in_a, in_b = (hdus["SCI"].data.astype("f8") for hdus in (one, other))
        err = one["ERR"].data.astype("f8")
    blank_in_both = np.isnan(in_a) & np.isnan(in_b)
    differ = (in_a != in_b) & ~blank_in_both
    finite = differ & np.isfinite(in_a) & np.isfinite(in_b)
    delta = np.abs(in_b - in_a)[finite]

    found = parts(a, b)
    assert list(found) == ["SCI"]
    figures = found["SCI"].figures
    assert (figures.total, figures.differing) == (in_a.size, differ.sum())
    assert figures.one_sided == differ.sum() - finite.sum() > 0
    assert (figures.largest, figures.median) == (delta.max(), np.median(delta))
    in_err = delta / err[finite]
    assert figures.largest_in_err == pytest.approx(in_err.max(), rel=1e-14)
    assert figures.median_in_err == pytest.approx(np.median(in_err), rel=1e-14)


def test_flags_by_name(image):
    before, after = np.zeros((12, 10), "u4"), np.zeros((12, 10), "u4")
    before[0, :3] = 4
    after[0, 2:5] = 4
    after[1, 1] = 2**31 + 1
    found = parts(image(dq=before), image(dq=after))
    assert list(found) == ["DQ"]
    assert found["DQ"].figures.differing == 5
    assert found["DQ"].figures.largest is None
    assert found["DQ"].flags == {
        "DO_NOT_USE": Flag(1, 0),
        "JUMP_DET": Flag(2, 2),
        "REFERENCE_PIXEL": Flag(1, 0),
    }


def test_flags_of_an_unknown_telescope_are_bits(image):
    flagged = np.full((12, 10), 4, "u4")
    found = parts(image(TELESCOP="X"), image(dq=flagged, TELESCOP="X"))
    assert found["DQ"].flags == {"bit 2": Flag(120, 0)}


def test_each_value_is_told_once(image):
    found = parts(image(), image(FILTER="F150W", status="SKIPPED", NEW=1))
    assert {name: part.changes for name, part in found.items()} == {
        "PRIMARY": [
            Change("FILTER", "F200W", "F150W"),
            Change("NEW", None, 1),
        ],
        # A card holds no statuses of steps that jwst does not know, and its tree all others, too.
        "ASDF": [Change("meta.cal_step.snowblind", "COMPLETE", "SKIPPED")],
    }


def test_columns_of_tables(image):
    found = parts(image(), image(flux=(1.0, 2.5, np.nan)))
    (column,) = found["EXTRACT1D"].columns
    figures = column.figures
    assert column.name == "FLUX"
    assert (figures.differing, figures.one_sided, figures.largest) == (2, 1, 0.5)
    assert figures.largest_in_err == 1.0
    assert parts(image(), image(flux=(1.0, 2.0)))["EXTRACT1D"].note == "3 → 2 rows"


def test_tolerances(image):
    a, b = image(GAIN=1.0), image(lambda sci: sci * np.float32(1.001), GAIN=1.001)
    assert list(parts(a, b)) == ["PRIMARY", "SCI"]
    assert parts(a, b, rtol=0.002) == {}
    assert parts(a, b, atol=0.1) == {}
    assert list(parts(a, b, atol=0.002)) == ["SCI"]


def test_other_shapes_types_and_extensions(image, tmp_path):
    a = image()
    b = image(lambda sci: sci[:5])
    with fits.open(b, mode="update") as hdus:
        hdus["ERR"].data = hdus["ERR"].data.astype("f8")
        hdus["DQ"].name = "OTHER"
    found = parts(a, b)
    notes = {name: part.note for name, part in found.items() if part.note}
    assert notes == {
        "SCI": "shape 10 × 12 → 10 × 5",  # noqa: RUF001
        "ERR": "type float32 → float64",
        "DQ": "only in A",
        "OTHER": "only in B",
    }


def roman(path, data, dq, **meta):
    meta = {"telescope": "ROMAN", "file_date": path.name, "filename": path.name, **meta}
    image = {"meta": meta, "data": data, "err": np.full(data.shape, 2.0, "f4"), "dq": dq}
    asdf.AsdfFile({"roman": image}).write_to(path)
    return path


def test_arrays_of_asdf_by_path(tmp_path):
    pytest.importorskip("roman_datamodels")
    data, dq = np.ones((6, 8), "f4"), np.zeros((6, 8), "u4")
    a = roman(tmp_path / "a.asdf", data, dq)
    b = roman(tmp_path / "b.asdf", data + np.eye(6, 8, dtype="f4"), dq + np.uint32(16), gain="x")
    found = parts(a, b)
    assert list(found) == ["metadata", "roman.data", "roman.dq"]
    assert found["metadata"].changes == [Change("roman.meta.gain", None, "x")]
    figures = found["roman.data"].figures
    assert (figures.differing, figures.largest, figures.median_in_err) == (6, 1.0, 0.5)
    assert found["roman.dq"].flags == {"GW_AFFECTED_DATA": Flag(48, 0)}


def test_wcs_by_where_it_puts_pixels(tmp_path):
    gwcs = pytest.importorskip("gwcs")
    from astropy.coordinates import ICRS
    from astropy.modeling.models import Pix2Sky_TAN, RotateNative2Celestial, Scale, Shift
    from gwcs import coordinate_frames as frames

    def write(name, dec):
        model = (
            (Shift(-3.0) & Shift(-4.0))
            | (Scale(1e-5) & Scale(1e-5))
            | Pix2Sky_TAN()
            | RotateNative2Celestial(80.0, dec, 180.0)
        )
        detector = frames.Frame2D(name="detector", unit=(units.pix, units.pix))
        sky = frames.CelestialFrame(name="sky", reference_frame=ICRS())
        wcs = gwcs.WCS([(detector, model), (sky, None)])
        wcs.bounding_box = ((0, 7), (0, 5))
        path = tmp_path / name
        return roman(path, np.ones((6, 8)), np.zeros((6, 8), "u4"), wcs=wcs)

    found = parts(write("a.asdf", -69.5), write("b.asdf", -69.5 + 0.02 / 3600))
    assert list(found) == ["roman.meta.wcs"]
    assert found["roman.meta.wcs"].offset.largest == pytest.approx(0.02, rel=1e-3)
    assert found["roman.meta.wcs"].offset.median == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("extension", ["ecsv", "parquet"])
def test_sources_are_matched_on_the_sky(tmp_path, extension):
    if extension == "parquet":
        pytest.importorskip("pyarrow")
    rng = np.random.default_rng(5)
    ra, dec = 80 + rng.uniform(0, 0.01, 20), -69 + rng.uniform(0, 0.01, 20)
    flux = rng.uniform(1, 2, 20)

    def write(name, order, shift, factor):
        position = SkyCoord(ra[order], dec[order] + shift / 3600, unit="deg")
        columns = (
            {"sky_centroid": position}
            if extension == "ecsv"
            else {"ra": position.ra.deg, "dec": position.dec.deg}
        )
        table = Table(
            {"label": np.arange(len(order)), **columns, "aper_flux": factor * flux[order]},
            meta={"date": name, "aperture": {"radius": factor}, "ee": np.array([0.5, factor])},
        )
        table.write(tmp_path / name, format="ascii.ecsv" if extension == "ecsv" else "parquet")
        return tmp_path / name

    everything, fewer = np.arange(20), rng.permutation(20)[:18]
    a = write(f"a.{extension}", everything, 0, 1.0)
    b = write(f"b.{extension}", fewer, 0.05, 1.5)
    part = parts(a, b)["sources"]
    sources = part.sources
    assert (sources.in_a, sources.in_b, sources.matched) == (20, 18, 18)
    assert sources.largest == pytest.approx(0.05, rel=1e-5)
    assert (sources.flux, sources.flux_ratio) == ("aper_flux", pytest.approx(1.5))
    assert Change("aperture.radius", 1.0, 1.5) in part.changes
    assert Change("ee[1]", 1.0, 1.5) in part.changes
    assert "date" not in {change.name for change in part.changes}
    delta = {column.name: column.figures for column in part.columns}["aper_flux"]
    assert delta.largest == pytest.approx(0.5 * flux[fewer].max())
    assert parts(a, a) == {}


def test_associations_are_compared_as_json(tmp_path):
    a, b = tmp_path / "a_asn.json", tmp_path / "b_asn.json"
    a.write_text(json.dumps({"products": [{"name": "p", "members": []}]}))
    b.write_text('{"products":[{"members":[{"expname":"x"}],"name":"p"}]}')
    assert parts(a, b)["content"].changes == [Change("products[0].members[0].expname", None, "x")]
    assert parts(a, a) == {}


def test_what_cannot_be_read_is_named(image, tmp_path):
    a, b = image(), image()
    b.write_bytes(b.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"{b}: damaged or truncated"):
        compare_products(a, b)
    with pytest.raises(FileNotFoundError, match=r"absent\.fits: cannot be read"):
        compare_products(a, tmp_path / "absent.fits")


def test_report_for_programs_is_json(image):
    found = compare_products(image(), image(lambda sci: sci + 1, GAIN=1.5)).as_json()
    report = json.loads(json.dumps(found, allow_nan=False))
    assert report["identical"] is False
    assert [part["name"] for part in report["parts"] if not part["identical"]] == ["PRIMARY", "SCI"]
    assert report["causes"] == [] and len(report["unknown"]) == 2
