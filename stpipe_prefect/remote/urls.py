"""URLs of objects, and the local paths that stand for them.

Pipelines see local files alone. In the scratch folder of a process, ``s3://bucket/raw/x.fits`` has
a stand-in, ``<scratch>/.unfinished-<name>-<random>/s3/bucket/raw/x.fits``. So each of the two tells
the other, and whatever is recorded or shown has the URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from ..exceptions import UsageError

VARIABLE = "STPIPE_SCRATCH"

_URL = re.compile(r"(?!crds:)([a-z][a-z0-9+.-]+)://")

_folder: Callable[[], Path] | None = None
"""Gives the folder for the stand-ins of this process."""


def is_url(name: object) -> bool:
    """Tell whether a name is the URL of something in a store; those of CRDS are names of files."""
    return bool(_URL.match(str(name)))


def scratch_root() -> Path:
    """Say where the scratch folders of all processes are: ``STPIPE_SCRATCH``, or the user cache."""
    return _resolved(os.environ.get(VARIABLE, ""))


@contextmanager
def stand_ins_in(folder: Callable[[], Path]) -> Iterator[None]:
    """Put the stand-ins of this process into a folder, which is asked for when there is one."""
    global _folder
    before, _folder = _folder, folder
    try:
        yield
    finally:
        _folder = before


def local_path(url: str) -> Path:
    """Give the path that stands for a URL in this process.

    Raises
    ------
    UsageError
        The URL has no path of its own, or nothing here takes URLs.
    """
    scheme, _, key = url.partition("://")
    parts = key.rstrip("/").split("/")
    if {"", ".", ".."} & {*parts}:
        raise UsageError(f"{url}: expected a bucket and names, such as s3://bucket/folder/name")
    if _folder is None:
        raise UsageError(
            f"{url}: a URL is for the commands and flows of a mission and for reprocess alone"
        )
    return Path(_folder(), scheme, *parts)


def takes_urls() -> bool:
    """Tell whether this process has a place for stand-ins."""
    return _folder is not None


def there(name: str) -> Path | None:
    """Give what stands for a URL, if that was brought here."""
    if _folder is None or not is_url(name):
        return None
    path = local_path(name)
    return path if path.exists() else None


def url_of(path: str | Path) -> str:
    """Give the URL that a path stands for; empty if it is a file of its own."""
    text, url = str(path), as_urls(str(path))
    return url if url != text else ""


def as_urls(text: str) -> str:
    """Put URLs into a text in place of the paths that stand for them."""
    if "/.unfinished-" not in text:
        return text
    return _stand_in(scratch_root()).sub(r"\1://", text)


@lru_cache(maxsize=8)
def _stand_in(root: Path) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(str(root))}/\.unfinished-[^/]+/([a-z][a-z0-9+.-]+)/")


@lru_cache(maxsize=8)
def _resolved(named: str) -> Path:
    from platformdirs import user_cache_path

    folder = Path(named).expanduser() if named else user_cache_path("stpipe_prefect") / "scratch"
    return folder.resolve()
