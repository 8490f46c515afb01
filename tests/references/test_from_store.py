"""Reference files that are in a bucket, verified with what the CRDS server says of them."""

import hashlib

import pytest

from stpipe_prefect.exceptions import ReferenceFileError
from stpipe_prefect.references.cache import prefetch
from stpipe_prefect.references.reference import ReferenceFile

NAME = "jwst_nircam_gain_0001.fits"
GAIN = ReferenceFile(NAME, "gain", "jwst", "jwst_0001.pmap", "jw1_uncal.fits")


@pytest.fixture
def bucket(cold, server, store, monkeypatch):
    """A bucket with one reference file; the CRDS server has the catalogue."""
    monkeypatch.setenv("CRDS_REFERENCE_URI", "s3://archive/references")
    store.put(server.file(NAME), folder="references")
    return store


def test_fetches_and_verifies(bucket, server):
    content = server.file(NAME).read_bytes()
    found = prefetch(GAIN)
    assert found.path.read_bytes() == content
    assert found.sha1 == hashlib.sha1(content).hexdigest()
    assert not server.files_asked


def test_refuses_what_has_another_checksum(bucket, server):
    content = bytearray(server.file(NAME).read_bytes())
    content[-1] ^= 1
    bucket.write(f"references/{NAME}", bytes(content))
    with pytest.raises(ReferenceFileError, match="was damaged in two downloads: sha1"):
        prefetch(GAIN)


def test_names_what_is_not_there(bucket):
    bucket.files.rm(f"archive/references/{NAME}")
    missing = rf"s3://archive/references/{NAME}: no such object"
    with pytest.raises(ReferenceFileError, match=missing):
        prefetch(GAIN)
