"""The header of an exposure in a store, and no pixels: of some GB, some kB are fetched."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from .store import explained, opened

SMALL = 1 << 18
"""Bytes up to which an object is fetched whole."""


def copy_header(url: str, path: Path, size: int) -> bool:
    """Copy what says what an exposure is to where that is in the object; the rest are holes.

    False if the object is small, or of another format.
    """
    read = _READERS.get(path.suffix)
    if read is None or size <= SMALL:
        return False
    with explained(url), opened(url) as remote, path.open("r+b") as copy:
        try:
            read(_Copying(remote, copy, size))
        except OSError:
            raise
        except Exception:  # it is damaged, which whoever reads the copy can say better
            return True
    return True


class _Copying(io.RawIOBase):
    """A file of which all that is read is copied."""

    def __init__(self, remote: IO[bytes], copy: IO[bytes], size: int) -> None:
        self._remote = remote
        self._copy = copy
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._remote.seek(self._at)
        data = self._remote.read(len(buffer))
        self._copy.seek(self._at)
        self._copy.write(data)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _read_fits(file: io.RawIOBase) -> None:
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(file, memmap=False, lazy_load_hdus=False) as hdus:
            for hdu in hdus:
                if hdu.name == "ASDF":  # more of the header
                    _ = hdu.data


def _read_asdf(file: io.RawIOBase) -> None:
    import asdf

    with asdf.open(file, lazy_load=True, memmap=False) as opened_file:
        _ = opened_file.tree


_READERS: dict[str, Callable[[io.RawIOBase], None]] = {".fits": _read_fits, ".asdf": _read_asdf}
