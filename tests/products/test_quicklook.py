"""A small picture of what a product shows."""

import io

import asdf
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from stpipe_prefect.products.quicklook import quick_look
from stpipe_prefect.provenance.ownership import is_whole


@pytest.fixture
def product(tmp_path):
    def make(*hdus):
        path = tmp_path / "a_rate.fits"
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
        return path

    return make


def picture(look):
    return np.asarray(Image.open(io.BytesIO(look.png)))


@pytest.mark.parametrize("size", [32, 64, 320, 2048])
def test_image_is_about_256_pixels_wide(product, size):
    ramp = np.linspace(0, 1, size * size).reshape(size, size).astype("f4")
    look = quick_look(product(fits.ImageHDU(ramp, name="SCI")))
    assert 170 < picture(look).shape[0] == picture(look).shape[1] < 390
    assert picture(look)[0, 0] > picture(look)[-1, -1]  # the first row is at the bottom
    assert look.caption.startswith(f"a_rate.fits: {size} × {size} pixels, asinh from ")  # noqa: RUF001
    assert len(look.png) < 100_000


def test_segments_on_an_empty_field_are_seen(product):
    segments = np.zeros((300, 300), dtype="i4")
    segments[100:104, 200:204] = 7
    look = quick_look(product(fits.ImageHDU(segments, name="SCI")))
    assert "asinh from 0 to 7" in look.caption
    assert sorted(np.unique(picture(look))) == [0, 255]


def test_blank_image_is_black(product):
    blank = fits.ImageHDU(np.full((10, 10), np.nan, "f4"), name="SCI")
    assert not picture(quick_look(product(blank))).any()


def test_spectrum_is_drawn(product):
    columns = [
        fits.Column("WAVELENGTH", "D", "um", array=np.linspace(5, 12, 50)),
        fits.Column("FLUX", "D", "Jy", array=np.ones(50)),
    ]
    look = quick_look(product(fits.BinTableHDU.from_columns(columns, name="EXTRACT1D")))
    assert look.caption == "a_rate.fits: 50 points"
    assert picture(look).shape[:2] == (256, 512)


def test_a_path_is_no_uri(tmp_path):
    product = tmp_path / "a#b?c%41_cal.asdf"
    with product.open("wb") as stream:
        asdf.AsdfFile({"roman": {"data": np.eye(300)}}).write_to(stream)
    assert quick_look(product).caption.startswith(f"{product.name}: 300 × 300 pixels")  # noqa: RUF001
    assert is_whole(product)


def test_neither_image_nor_spectrum(product, tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("ID", "J", array=[1, 2])], name="CAT")
    assert quick_look(product(table)) is None
    assert quick_look(tmp_path / "a_cat.ecsv") is None
