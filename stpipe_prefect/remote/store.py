"""The object store, through fsspec: what is in it, downloads, uploads, and errors in one line.

An object has a mark, its etag or version. It says nothing about the content, but that is the
same as long as the mark is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..exceptions import (
    InputError,
    NoInputError,
    OutputError,
    StpipePrefectError,
    UsageError,
    reason,
)

_MARKS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "mtime", "created")
"""Where the file systems of fsspec have what changes with the content."""

_DATES = ("LastModified", "last_modified", "mtime", "updated")
"""Where they have when the object was written."""

_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
_UNREACHABLE = ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError")
ATTEMPTS = 3
"""To fetch an object that changes meanwhile."""

_PREFIXES = 20
"""More beginnings of names than these are looked for in one list of all."""


@dataclass(frozen=True)
class Mark:
    """What an object is known by: its bytes, its etag or version, and when it was written."""

    size: int
    mark: str
    modified: float = field(default=0, compare=False)


def listed(folder: str, beginnings: Collection[str] = ("",)) -> dict[str, Mark]:
    """List the objects of a folder with names that begin so; a folder that is empty has none."""
    files, path = _files(folder)
    asked = beginnings if len(beginnings) <= _PREFIXES else ("",)
    found: dict[str, Mark] = {}
    with explained(folder):
        for beginning in asked:
            infos = files.find(path, maxdepth=1, detail=True, prefix=beginning)
            found |= {
                Path(name).name: _mark(info)
                for name, info in infos.items()
                if not name.endswith("/")  # it marks the folder itself
            }
        if not found:
            _check_bucket(files, path, folder)
    return {name: found[name] for name in sorted(found) if name.startswith((*beginnings,))}


def listed_below(folder: str) -> dict[str, Mark]:
    """List the objects of a folder and of all folders in it, by their names from there on.

    Left out is what no file can stand for: what marks a folder, or has a name that is no path.
    """
    files, path = _files(folder)
    with explained(folder):
        infos = files.find(path, detail=True)
        if not infos:
            _check_bucket(files, path, folder)
    found = {name.removeprefix(f"{path}/"): _mark(info) for name, info in infos.items()}
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
    return {
        name: found[name]
        for name in sorted(found)
        if name not in folders and not {"", ".", ".."} & {*name.split("/")}
    }


def matching(pattern: str) -> dict[str, Mark]:
    """List the objects that match a pattern, by their URLs."""
    files, path = _files(pattern)
    with explained(pattern):
        found = files.glob(path, detail=True)
        if not found:
            _check_bucket(files, path, pattern)
    return {
        files.unstrip_protocol(name): _mark(found[name])
        for name in sorted(found)
        if _is_file(found[name])
    }


def mark_of(url: str) -> Mark | None:
    """Find the mark of an object; None if there is no such object."""
    files, path = _files(url)
    with explained(url):
        try:
            info = files.info(path)
        except FileNotFoundError:
            _check_bucket(files, path, url)
            return None
    return _mark(info) if _is_file(info) else None


def download(url: str, path: Path, expected: Mark | None = None) -> Mark:
    """Fetch an object, whole and of one version; give its mark, which may not be as expected."""
    files, name = _files(url)
    partial = path.with_name(f".{path.name}.part")
    try:
        for _ in range(ATTEMPTS):
            if (before := expected or mark_of(url)) is None:
                raise NoInputError(f"{url}: no such object")
            with explained(url):
                files.get_file(name, str(partial))
            expected = mark_of(url)
            if expected == before and partial.stat().st_size == before.size:
                partial.replace(path)
                return before
        raise InputError(f"{url}: changed while it was fetched, {ATTEMPTS} times; run again later")
    finally:
        partial.unlink(missing_ok=True)


def opened(url: str, block: int = 1 << 16) -> IO[bytes]:
    """Open an object, to read ranges of it that are at least so long."""
    files, path = _files(url)
    file: IO[bytes] = files.open(path, "rb", block_size=block, cache_type="readahead")
    return file


def upload(path: Path, url: str) -> Mark:
    """Put a file into the store: it is there whole, or what was there before is."""
    files, name = _files(url)
    with explained(url, OutputError):
        files.put_file(str(path), name)
    mark = mark_of(url)
    if mark is None or mark.size != path.stat().st_size:
        found = "nothing" if mark is None else f"{mark.size} bytes"
        raise OutputError(
            f"{url}: {found} there after an upload of {path.stat().st_size} bytes; "
            "does another run write there?"
        )
    return mark


def copy(url: str, place: str) -> None:
    """Copy an object within the store, which no byte of it leaves."""
    files, name = _files(url)
    with explained(place, OutputError):
        files.cp_file(name, _files(place)[1])


def write(text: str, url: str) -> None:
    """Write a small object."""
    files, name = _files(url)
    with explained(url, OutputError):
        files.pipe_file(name, text.encode())


def remove(urls: Iterable[str]) -> None:
    """Remove objects, and what was uploaded of them and is not whole; they need not be there."""
    for url in urls:
        files, name = _files(url)
        with explained(url, OutputError), suppress(FileNotFoundError):
            _abort_uploads(files, name)
            files.rm_file(name)


def check_writable(folder: str) -> None:
    """Make sure products can be uploaded, before any time is spent on them."""
    files, path = _files(folder)
    with explained(folder, OutputError):
        _check_bucket(files, path, folder)
        files.pipe_file(f"{path}/.writable", b"")
        files.rm_file(f"{path}/.writable")


@contextmanager
def explained(url: str, kind: type[InputError | OutputError] = InputError) -> Iterator[None]:
    """Say in one line what went wrong with an object."""
    try:
        yield
    except StpipePrefectError:
        raise
    except FileNotFoundError as error:
        missing = NoInputError if kind is InputError else kind
        is_bucket = "bucket" in str(error)
        what = f"there is no bucket {_bucket_of(url)}" if is_bucket else "no such object"
        raise missing(f"{url}: {what}") from error
    except PermissionError as error:
        doing = "read" if kind is InputError else "written to"
        raise kind(
            f"{url}: may not be {doing} with these credentials: {reason(error)}; check them, and "
            "the policy of the bucket"
        ) from error
    except Exception as error:  # botocore's are no OSErrors
        name = type(error).__name__
        if name in _NO_CREDENTIALS:
            problem = "no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"
        elif name in _UNREACHABLE or isinstance(error, (ConnectionError, TimeoutError)):
            problem = (
                f"the store cannot be reached: {reason(error)}; check the network, and "
                "AWS_ENDPOINT_URL"
            )
        else:
            problem = reason(error)
        raise kind(f"{url}: {problem}") from error


def _files(url: str) -> tuple[Any, str]:
    """Find the file system of a URL, which remembers nothing of what others may change."""
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = ": pip install 'stpipe_prefect[s3]'" if url.startswith("s3") else ""
        raise UsageError(f"{url}: {reason(error)}{extra}") from error
    except ValueError as error:
        raise UsageError(f"{url}: {reason(error)}") from error
    return files, str(path)


def _check_bucket(files: Any, path: str, url: str) -> None:
    """Tell a bucket that is missing from an object that is."""
    try:
        files.info(path.lstrip("/").partition("/")[0])
    except FileNotFoundError as error:
        raise NoInputError(f"{url}: there is no bucket {_bucket_of(url)}") from error
    except PermissionError:  # the objects in it may be readable all the same
        return


def _bucket_of(url: str) -> str:
    scheme, _, path = url.partition("://")
    return f"{scheme}://{path.lstrip('/').partition('/')[0]}"


def _abort_uploads(files: Any, path: str) -> None:
    """Have S3 forget the parts of an upload that was killed, which it keeps and charges for."""
    if not hasattr(files, "list_multipart_uploads"):
        return
    bucket, key, _ = files.split_path(path)
    with suppress(PermissionError):
        for each in files.list_multipart_uploads(bucket):
            if each["Key"] == key:
                files.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=key, UploadId=each["UploadId"]
                )


def _is_file(info: dict[str, Any]) -> bool:
    return bool(info["type"] == "file")


def _mark(info: dict[str, Any]) -> Mark:
    mark = next((str(info[name]) for name in _MARKS if info.get(name)), "")
    dates = (info.get(name) for name in _DATES)
    modified = next((date.timestamp() for date in dates if isinstance(date, datetime)), 0.0)
    return Mark(int(info["size"]), mark.strip('"'), modified)
