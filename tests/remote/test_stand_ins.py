"""What stands for objects, how much of it is here, and where."""

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from machine import until

from stpipe_prefect.exceptions import OutputError, UsageError
from stpipe_prefect.provenance.fingerprint import FileContent, sha256_of
from stpipe_prefect.remote.scratch import reserve, scratch
from stpipe_prefect.remote.stand_ins import bring_header, fetch, object_of, stand_in
from stpipe_prefect.remote.store import mark_of
from stpipe_prefect.remote.urls import as_urls, is_url, local_path, there, url_of

WAITING = """
from stpipe_prefect.remote.scratch import reserve, scratch
from stpipe_prefect.remote.urls import local_path

with scratch("other", "another job"):
    reserve(local_path("s3://archive/x"), 600)
"""

URL = "s3://archive/stands/x_uncal.fits"


@pytest.fixture
def exposure(store, tmp_path):
    """An exposure in the store, large enough that it is not fetched whole for its header."""
    path = tmp_path / "x_uncal.fits"
    data = np.arange(500_000, dtype="float32").reshape(500, 1000)
    primary = fits.PrimaryHDU()
    primary.header["EXP_TYPE"] = "NRC_IMAGE"
    fits.HDUList(
        [primary, fits.ImageHDU(data, name="SCI"), fits.ImageHDU(data, name="ERR")]
    ).writeto(path)
    store.put(path, folder="stands")
    return path


def test_paths_and_urls_tell_each_other(here):
    path = local_path(URL)
    assert (url_of(path), there(URL)) == (URL, None)
    assert as_urls(f"{path}: truncated; see {path.parent}/y") == (
        f"{URL}: truncated; see s3://archive/stands/y"
    )
    assert as_urls("/some/.unfinished-x/s3/y") == "/some/.unfinished-x/s3/y"
    assert is_url(URL)
    assert not any(map(is_url, ("crds://x", "/x", "x.fits", "C:x")))


@pytest.mark.parametrize("url", ["s3://archive/../x", "s3://archive//x", "s3://"])
def test_urls_lead_nowhere_else(here, url):
    with pytest.raises(UsageError, match="expected a bucket and names"):
        local_path(url)


def test_only_commands_of_missions_take_urls():
    with pytest.raises(UsageError, match=r"s3://archive/.*: a URL is for the commands"):
        local_path(URL)


def test_a_header_comes_without_pixels(here, exposure, store):
    path = local_path(URL)
    stand_in(path, mark_of(URL))
    before = len(store.asked())
    bring_header(path)
    assert path.stat().st_size == exposure.stat().st_size
    with fits.open(path) as hdus:
        assert hdus[0].header["EXP_TYPE"] == "NRC_IMAGE"
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR"]
        assert not hdus["SCI"].data.any()
    assert path.stat().st_blocks * 512 < path.stat().st_size / 4
    assert len(store.asked()) - before < 10
    described = FileContent.of(path)
    assert (described.sha256, described.mark) == ("", mark_of(URL).mark)
    fetch(path)
    assert path.read_bytes() == exposure.read_bytes()
    assert FileContent.of(path).sha256 == sha256_of(exposure)


def test_what_takes_the_place_of_a_stand_in_is_a_file_of_its_own(here, exposure):
    path = local_path(URL)
    stand_in(path, mark_of(URL))
    assert object_of(path)
    path.write_bytes(b"made here")
    assert object_of(path) is None
    assert FileContent.of(path).mark == ""


def test_stands_for_an_object_with_its_time_until_that_changes(here, store):
    store.write("stands/y", b"one")
    path, mark = local_path("s3://archive/stands/y"), mark_of("s3://archive/stands/y")
    stand_in(path, mark)
    written = store.files.modified("archive/stands/y").timestamp()
    assert path.stat().st_mtime == written
    fetch(path)
    stand_in(path, mark)
    assert (path.read_bytes(), path.stat().st_mtime) == (b"one", written)
    store.write("stands/y", b"other")
    stand_in(path, mark_of("s3://archive/stands/y"))
    assert path.read_bytes() == bytes(5)


def test_scratch_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setenv("STPIPE_SCRATCH", str(tmp_path))
    monkeypatch.setenv("STPIPE_SCRATCH_GB", "1e-6")
    with scratch("one", "a job"):
        inside = local_path(URL)
        with pytest.raises(OutputError, match=r"2e-06 GB are needed, STPIPE_SCRATCH_GB allows"):
            reserve(inside, 2000)
        reserve(inside, 600)
        other = subprocess.Popen([sys.executable, "-c", WAITING])
        until(lambda: len([*tmp_path.glob(".unfinished-*-????????")]) == 2, "the other's folder")
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.wait(60) == 0
    assert not [*tmp_path.iterdir()]
