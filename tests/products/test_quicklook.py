"""A picture of what a product shows."""

import io

import asdf
import gwcs
import numpy as np
import pytest
from astropy.coordinates import ICRS
from astropy.io import fits
from astropy.modeling import models
from gwcs import coordinate_frames
from PIL import Image

from stpipe_prefect.products.quicklook import image_in, quick_look, smaller
from stpipe_prefect.products.stretch import stretch_of
from stpipe_prefect.provenance.ownership import is_whole


@pytest.fixture
def product(tmp_path):
    def make(*hdus, **about):
        path = tmp_path / "a_rate.fits"
        fits.HDUList([fits.PrimaryHDU(header=fits.Header(about)), *hdus]).writeto(
            path, overwrite=True
        )
        return path

    return make


def picture(look):
    return np.asarray(Image.open(io.BytesIO(look.webp)).convert("RGB")).astype(int)


@pytest.mark.parametrize("size", [32, 2048])
def test_image_of_any_size_has_axes_and_scale(product, size):
    ramp = np.linspace(0, 1, size * size).reshape(size, size).astype("f4")
    look = quick_look(product(fits.ImageHDU(ramp, name="SCI")))
    seen = picture(look)
    assert 400 < seen.shape[0] < seen.shape[1] < 600  # the scale is beside it
    middle = seen.shape[1] // 3
    bright = seen[:, middle].sum(axis=1)
    assert bright[120] > bright[-120] + 150  # the first row is at the bottom
    assert look.caption.startswith(f"a_rate.fits: {size} × {size} pixels, asinh from ")  # noqa: RUF001
    assert len(look.webp) < 100_000


def test_flags_are_shown_beside_the_image(product):
    sky = np.random.default_rng(1).normal(1, 0.1, (300, 300)).astype("f4")
    flags = np.zeros((300, 300), "u4")
    flags[100:120] = 1
    plain = picture(quick_look(product(fits.ImageHDU(sky, name="SCI"))))
    path = product(fits.ImageHDU(sky, name="SCI"), fits.ImageHDU(flags, name="DQ"))
    assert image_in(path).flags.sum() == 20 * 300
    seen = picture(quick_look(path))
    assert seen.shape[1] > 1.5 * plain.shape[1]
    red = (seen[..., 0] > 180) & (seen[..., 2] < 110)
    assert red.sum() > 1000 > ((plain[..., 0] > 180) & (plain[..., 2] < 110)).sum()


def test_title_has_instrument_filter_and_target(product):
    about = {"INSTRUME": "NIRCAM", "FILTER": "F200W", "TARGNAME": "M-42", "PUPIL": "N/A"}
    path = product(fits.ImageHDU(np.eye(30), name="SCI"), **about)
    assert image_in(path).title == "NIRCAM · F200W · M-42"


def test_ramps_with_jumps_have_more_figures(product):
    groups = np.arange(6.0)[:, None, None] * np.ones((6, 40, 40)) * 10
    groups[3:, 10, 10] += 500
    flags = np.zeros((1, 6, 40, 40), "u1")
    data = fits.ImageHDU(groups[None].astype("f4"), name="SCI")
    low = picture(quick_look(product(data))).shape[0]
    flags[0, 3, 10, 10] = 4
    look = quick_look(product(data, fits.ImageHDU(flags, name="GROUPDQ")))
    assert picture(look).shape[0] > 1.5 * low
    assert look.caption == "a_rate.fits: 40 × 40 × 6 × 1 pixels"  # noqa: RUF001


def test_stars_keep_their_shape_and_the_sky_its_noise():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:200, :200]
    sky = rng.normal(5, 0.1, (200, 200))
    star = 200 * np.exp(-((x - 100) ** 2 + (y - 100) ** 2) / 20)
    shown = stretch_of(sky + star)(sky + star)
    assert shown[100, 100] == pytest.approx(1, abs=0.05)
    assert 0.3 < shown[100, 107] < 0.9  # its wing is neither white nor lost
    assert 0.02 < shown[:50].std() < 0.2
    stretch = stretch_of(sky)
    assert stretch.inverse(stretch(5.0)) == pytest.approx(5.0)


def test_smaller_image_leaves_nan_out():
    plane = np.ones((100, 100), "f4")
    plane[:10, :10] = np.nan
    plane[50, 50] = np.nan
    found = smaller(plane, 10)
    assert found.shape == (10, 10)
    assert np.isnan(found[0, 0]) and np.nansum(found) == 99


def test_segments_on_an_empty_field_are_seen(product):
    segments = np.zeros((300, 300), dtype="i4")
    segments[100:104, 200:204] = 7
    look = quick_look(product(fits.ImageHDU(segments, name="SCI")))
    assert "asinh from 0 to 7" in look.caption


def test_blank_image_can_be_shown(product):
    blank = fits.ImageHDU(np.full((10, 10), np.nan, "f4"), name="SCI")
    assert quick_look(product(blank)).caption.endswith("asinh from 0 to 1")


def test_spectrum_is_drawn(product):
    columns = [
        fits.Column("WAVELENGTH", "D", "um", array=np.linspace(5, 12, 50)),
        fits.Column("FLUX", "D", "Jy", array=np.ones(50)),
        fits.Column("FLUX_ERROR", "D", "Jy", array=np.full(50, 0.1)),
        fits.Column("DQ", "J", array=np.arange(50) < 3),
    ]
    look = quick_look(product(fits.BinTableHDU.from_columns(columns, name="EXTRACT1D")))
    assert look.caption == "a_rate.fits: 50 points"
    assert picture(look).shape[:2] == (320, 640)


def test_a_path_is_no_uri(tmp_path):
    product = tmp_path / "a#b?c%41_cal.asdf"
    with product.open("wb") as stream:
        asdf.AsdfFile({"roman": {"data": np.eye(300)}}).write_to(stream)
    assert quick_look(product).caption.startswith(f"{product.name}: 300 × 300 pixels")  # noqa: RUF001
    assert is_whole(product)


def test_mosaic_of_roman_has_a_grid_of_the_sky(tmp_path):
    to_sky = models.Shift(-150) & models.Shift(-150) | models.Scale(1e-5) & models.Scale(1e-5)
    to_sky |= models.Pix2Sky_TAN() | models.RotateNative2Celestial(53.0, -27.8, 180)
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS())
    wcs = gwcs.WCS(to_sky, input_frame=coordinate_frames.Frame2D(), output_frame=sky)
    wcs.bounding_box = ((100, 200), (100, 200))  # pixels around it have no data
    mosaic = {"data": np.eye(300), "meta": {"wcs": wcs}}
    product = tmp_path / "a_coadd.asdf"
    asdf.AsdfFile({"roman": mosaic}).write_to(product)
    grid = image_in(product).wcs
    assert grid.pixel_to_world_values(150, 150) == pytest.approx([53.0, -27.8])
    with_grid = picture(quick_look(product))
    mosaic["meta"] = {}
    asdf.AsdfFile({"roman": mosaic}).write_to(product)
    without = picture(quick_look(product))
    image = with_grid[:, -without.shape[1] :]  # the labels left of it are longer
    assert without.shape == image.shape and (without != image).any()
    mosaic |= {"dq": np.zeros((300, 300), "u4"), "meta": {"wcs": wcs}}  # an exposure is distorted
    asdf.AsdfFile({"roman": mosaic}).write_to(product)
    assert image_in(product).wcs is None


def test_neither_image_nor_spectrum(product, tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("ID", "J", array=[1, 2])], name="CAT")
    assert quick_look(product(table)) is None
    assert quick_look(tmp_path / "a_cat.ecsv") is None
