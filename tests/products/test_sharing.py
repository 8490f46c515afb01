"""Files that folders share: by a clone or a link, and known again without being read."""

import os
from pathlib import Path

import pytest

from stpipe_prefect.products.sharing import FOLDER, Way, share
from stpipe_prefect.provenance.fingerprint import FileContent


@pytest.fixture
def shared(tmp_path):
    """A product that another folder shares, as it was before, and where it is."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    (mine / "x_rate.fits").write_bytes(b"content")
    before = FileContent.of(mine / "x_rate.fits")
    way = share(mine / "x_rate.fits", other / "x_rate.fits", before.sha256)
    return before, way, other / "x_rate.fits"


def test_file_is_untouched_however_often_it_is_linked_and_whichever_link_goes(shared, tmp_path):
    before, way, other = shared
    assert way in (Way.CLONE, Way.LINK)
    assert before.is_untouched
    share(other, tmp_path / "third.fits", before.sha256)
    assert before.is_untouched
    other.unlink()
    (tmp_path / "third.fits").unlink()
    assert before.is_untouched


def test_file_that_is_replaced_or_written_to_is_touched(shared):
    before, _, other = shared
    mine = other.parents[1] / "mine" / other.name
    mine.with_name("new").write_bytes(b"CONTENT")
    os.utime(mine.with_name("new"), ns=(before.mtime_ns, before.mtime_ns))
    mine.with_name("new").replace(mine)  # of the same size and time
    assert not before.is_untouched and not before.is_intact
    assert other.read_bytes() == b"content"
    other.write_bytes(b"written")
    assert not FileContent(**vars(before) | {"path": str(other)}).is_intact


def test_note_that_is_damaged_means_that_the_file_is_read(shared):
    before, way, other = shared
    note = other.parents[1] / "mine" / FOLDER / f"{other.name}.json"
    if way is Way.CLONE:
        pytest.skip("this file system clones: there is no note")
    note.write_text("[]")
    assert not before.is_untouched and before.is_intact


def test_file_is_copied_where_it_can_neither_be_cloned_nor_linked(tmp_path):
    elsewhere = Path("/dev/shm")
    if not os.access(elsewhere, os.W_OK) or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    (tmp_path / "x_rate.fits").write_bytes(b"content")
    before = FileContent.of(tmp_path / "x_rate.fits")
    place = elsewhere / f"{os.getpid()}_rate.fits"
    try:
        assert share(tmp_path / "x_rate.fits", place, before.sha256) is Way.COPY
        assert place.stat().st_mtime_ns == before.mtime_ns
    finally:
        place.unlink()
    assert before.is_untouched
