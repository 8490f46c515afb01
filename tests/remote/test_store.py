"""What is in a store, and what goes wrong with it."""

import httpx
import pytest
from databases import free_port
from object_store import object_store
from s3fs import S3FileSystem

from stpipe_prefect.exceptions import InputError, NoInputError, OutputError, UsageError
from stpipe_prefect.remote import store as objects


def test_lists_by_beginnings(store):
    for name in ("jw1_rate.fits", "jw1_cal.fits", "jw2_rate.fits", "other/jw1_rate.fits"):
        store.write(f"listed/{name}", b"x")
    url = "s3://archive/listed"
    assert [*objects.listed(url, ["jw1", "other"])] == ["jw1_cal.fits", "jw1_rate.fits"]
    assert [*objects.matching(f"{url}/*_rate.fits")] == [
        f"{url}/jw1_rate.fits",
        f"{url}/jw2_rate.fits",
    ]
    assert objects.listed("s3://archive/empty") == {}


def test_lists_what_is_in_a_folder_and_below_it(store):
    for key in (
        "leaves/",
        "leaves/a/",
        "leaves/a/x",
        "leaves/b",
        "leaves/b/c/y",
        "leaves/d//z",
        "leaves-of-others/w",
    ):
        store.files.call_s3("put_object", Bucket="archive", Key=key, Body=b"x")
    found = objects.listed_below("s3://archive/leaves")
    assert [*found] == ["a/x", "b/c/y"]  # the others can be no files
    assert found["a/x"] == objects.mark_of("s3://archive/leaves/a/x")
    assert [*objects.listed("s3://archive/leaves/a")] == ["x"]
    assert objects.listed_below("s3://archive/nothing") == {}
    assert {"leaves/a/x", "leaves-of-others/w"} <= objects.listed_below("s3://archive").keys()
    with pytest.raises(NoInputError, match=r"there is no bucket s3://none$"):
        objects.listed_below("s3://none/tree")


def test_copies_within_the_store(store):
    store.write("copied/a", b"one")
    objects.copy("s3://archive/copied/a", "s3://archive/copied/to/b")
    assert store.read("copied/to/b") == b"one"
    with pytest.raises(OutputError, match=r"s3://archive/copied/c: "):
        objects.copy("s3://archive/copied/absent", "s3://archive/copied/c")


def test_a_mark_changes_with_the_content(store, tmp_path):
    store.write("marked/a", b"one")
    first = objects.download("s3://archive/marked/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert first == objects.mark_of("s3://archive/marked/a")
    store.write("marked/a", b"two")
    assert objects.mark_of("s3://archive/marked/a") != first


def test_what_is_uploaded_has_its_mark_and_can_be_removed(store, tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    mark = objects.upload(tmp_path / "a", "s3://archive/up/a")
    assert mark == objects.mark_of("s3://archive/up/a") and mark.size == 100
    objects.remove(["s3://archive/up/a", "s3://archive/up/absent"])
    assert objects.mark_of("s3://archive/up/a") is None


def test_removes_the_parts_of_an_upload_that_was_killed(store):
    store.files.call_s3("create_multipart_upload", Bucket="archive", Key="parts/a.fits")
    store.files.call_s3("create_multipart_upload", Bucket="archive", Key="parts/b.fits")
    objects.remove(["s3://archive/parts/a.fits"])
    left = store.files.list_multipart_uploads("archive")
    assert [each["Key"] for each in left] == ["parts/b.fits"]


def test_says_in_one_line_what_is_missing(store, tmp_path):
    with pytest.raises(NoInputError, match=r"s3://archive/no.fits: no such object"):
        objects.download("s3://archive/no.fits", tmp_path / "a")
    with pytest.raises(NoInputError, match=r"s3://none/a: there is no bucket s3://none$"):
        objects.mark_of("s3://none/a")
    with pytest.raises(NoInputError, match=r"there is no bucket s3://none$"):
        objects.listed("s3://none/raw")
    with pytest.raises(NoInputError, match=r"there is no bucket s3://none$"):
        objects.check_writable("s3://none/x")
    with pytest.raises(UsageError, match="nowhere://a/b: "):
        objects.mark_of("nowhere://a/b")


def test_says_that_an_object_is_gone_in_the_middle(store, tmp_path):
    store.write("gone/a", b"one")
    mark = objects.mark_of("s3://archive/gone/a")
    store.files.rm("archive/gone/a")
    with pytest.raises(NoInputError, match=r"s3://archive/gone/a: no such object$"):
        objects.download("s3://archive/gone/a", tmp_path / "a", mark)
    assert not [*tmp_path.iterdir()]


def test_says_that_there_are_no_credentials(store, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"s3://archive/a: no credentials; set AWS_PROFILE"):
        objects.mark_of("s3://archive/a")


def test_says_that_these_credentials_may_not(tmp_path, monkeypatch):
    with object_store(tmp_path) as strict:
        for name, value in strict.environment.items():
            monkeypatch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        httpx.post(f"{strict.url}/moto-api/reset-auth", content="0")
        with pytest.raises(InputError, match=r"s3://archive/a: may not be read with these"):
            objects.mark_of("s3://archive/a")
        with pytest.raises(OutputError, match="may not be written to with these credentials"):
            objects.check_writable("s3://archive/products")


def test_says_that_the_store_cannot_be_reached(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"s3://archive/a: the store cannot be reached: .*network"):
        objects.mark_of("s3://archive/a")
