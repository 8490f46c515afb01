"""Paths that JSON, terminals and asdf can hold, and those they cannot."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname


def printable(path: str | Path) -> str:
    """Write a path in one line of UTF-8, with escapes for what does not go into it."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(each if each >= " " else repr(each)[1:-1] for each in text)


def unrecordable(path: Path) -> str:
    """Say that no provenance record can name a path; empty if one can."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return "its path is not UTF-8, so no provenance record can name it"
    return ""


def misread_by_asdf(path: str | Path) -> str:
    """Say that asdf, given a path as text or `Path`, opens another file; empty if it does not.

    It takes every path for a URI, see ``asdf.generic_io.get_file``. What we open ourselves is
    safe; upstream's packages hand asdf the path.
    """
    whole = str(Path(path).absolute())
    is_safe = url2pathname(urlparse(whole).path) == whole
    return "" if is_safe else "asdf reads its path as a URI, where # ? ; % have a special meaning"
