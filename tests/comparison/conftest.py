"""Small products that differ in known ways."""

import io

import asdf
import numpy as np
import pytest
from astropy.io import fits

SHAPE = (12, 10)


def embedded(tree):
    """Put a tree into an extension of FITS, as models of jwst do."""
    buffer = io.BytesIO()
    asdf.AsdfFile(tree).write_to(buffer)
    content = np.frombuffer(buffer.getvalue(), np.uint8)[None]
    column = fits.Column(array=content, format=f"{content.shape[1]}B", name="ASDF_METADATA")
    return fits.BinTableHDU.from_columns([column], name="ASDF")


@pytest.fixture
def image(tmp_path):
    """Write an image as jwst does: cards are in the tree as well, dates differ every time."""
    written = []

    def write(sci=None, dq=None, flux=(1.0, 2.0, 3.0), name=None, status="COMPLETE", **cards):
        number = len(written)
        path = tmp_path / (name or f"{number}_cal.fits")
        written.append(path)
        rng = np.random.default_rng(7)
        noise = rng.normal(10, 1, SHAPE).astype("f4")
        err = rng.uniform(0.5, 1, SHAPE).astype("f4")
        primary = fits.PrimaryHDU()
        cards = {"TELESCOP": "JWST", "DATAMODL": "ImageModel", "FILTER": "F200W", **cards}
        primary.header.update(cards)
        primary.header["DATE"], primary.header["FILENAME"] = f"2026-01-0{number + 1}", path.name
        columns = [
            fits.Column(array=np.array(flux), format="D", name="FLUX"),
            fits.Column(array=np.full(len(flux), 0.5), format="D", name="FLUX_ERROR"),
            fits.Column(array=np.array([f"{number}"] * len(flux)), format="A1", name="DATE"),
        ]
        tree = {
            "meta": {
                "date": f"{number}",
                "instrument": {"filter": cards["FILTER"]},
                "cal_step": {"snowblind": status},
            },
            "cal_logs": [f"run {number}"],
        }
        hdus = [
            primary,
            fits.ImageHDU(noise if sci is None else sci(noise), name="SCI"),
            fits.ImageHDU(err, name="ERR"),
            fits.ImageHDU(np.zeros(SHAPE, "u4") if dq is None else dq, name="DQ"),
            fits.BinTableHDU.from_columns(columns, name="EXTRACT1D"),
            embedded(tree),
        ]
        fits.HDUList(hdus).writeto(path, checksum=True)
        return path

    return write
