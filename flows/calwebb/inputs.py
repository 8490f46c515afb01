"""Looking at the files a user names, before any pipeline does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from stpipe_prefect.exceptions import InputError, reason


@dataclass(frozen=True)
class Exposure:
    """A FITS file of one exposure.

    Attributes
    ----------
    path : pathlib.Path
    exp_type : str
        ``EXP_TYPE``, such as ``"NRC_IMAGE"``.
    time_series : bool
        ``TSOVISIT``.
    suffix : str
        What kind of product it is: ``"uncal"``, ``"rate"``, …; empty if its name does not say.
    """

    path: Path
    exp_type: str
    time_series: bool
    suffix: str


@dataclass(frozen=True)
class Association:
    """An association file: which exposures are combined, and into what.

    Attributes
    ----------
    path : pathlib.Path
    kind : str
        ``asn_type``, such as ``"image3"``; empty if the file does not say.
    members : tuple of str
        File names of the exposures of all its products.
    """

    path: Path
    kind: str
    members: tuple[str, ...]


def find_inputs(names: Iterable[str]) -> Iterator[Path]:
    """Find the files that a user names, each by itself, by a pattern, or by its folder.

    Of a folder the raw exposures are taken (where it has none, the count rates), and the
    associations that combine them.

    Raises
    ------
    InputError
        A pattern or folder that there is nothing for.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = _in_folder(path)
        elif has_magic(name) and not path.exists():
            found = [Path(match) for match in sorted(glob(name, recursive=True))]  # noqa: PTH207
        else:
            found = [path]
        if not found:
            raise InputError(f"{name}: no exposures or associations there")
        yield from found


def _in_folder(folder: Path) -> list[Path]:
    exposures = sorted(folder.glob("*_uncal.fits")) or sorted(folder.glob("*_rate.fits"))
    associations = []
    for path in sorted(folder.glob("*_asn.json")):
        with suppress(InputError):  # a folder may hold whatever it likes
            if _read_association(path).kind.endswith("3"):
                associations.append(path)
    return [*exposures, *associations]


def read_input(path: Path) -> Exposure | Association:
    """Find out what an input file is, and that it is whole.

    Raises
    ------
    InputError
        It is missing, of another format or telescope, or cut short.
    """
    if not path.is_file():
        raise InputError(f"{path}: " + ("is a folder" if path.is_dir() else "no such file"))
    return _read_association(path) if path.suffix == ".json" else _read_exposure(path)


def _read_association(path: Path) -> Association:
    try:
        table = json.loads(path.read_text())
        members = tuple(
            str(Path(member["expname"]))
            for product in table["products"]
            for member in product["members"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not an association: expected JSON with products and their members "
            f"({type(error).__name__}: {reason(error)})"
        ) from error
    if not members:
        raise InputError(f"{path}: an association without members: nothing to combine")
    return Association(path, str(table.get("asn_type") or "").lower(), members)


def _read_exposure(path: Path) -> Exposure:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if start != b"SIMPLE  =":
        packed = start.startswith(b"\x1f\x8b")
        found = "begins otherwise" if start else "is empty"
        raise InputError(
            f"{path}: not a FITS file: it {'is packed: gunzip it' if packed else found}"
        )
    header = _whole_header(path)
    telescope = str(header.get("TELESCOP", "none")).strip()
    if telescope != "JWST":
        raise InputError(f"{path}: TELESCOP is {telescope}, expected JWST")
    if "EXP_TYPE" not in header:
        raise InputError(f"{path}: no EXP_TYPE in its primary header, so no pipeline suits it")
    suffix = re.search(r"_([a-z0-9]+)$", path.stem)
    return Exposure(
        path=path,
        exp_type=str(header["EXP_TYPE"]),
        time_series=bool(header.get("TSOVISIT", False)),
        suffix=suffix.group(1) if suffix else "",
    )


def _whole_header(path: Path) -> dict[str, object]:
    """Read the primary header, and walk through the file to see that its last byte is there."""
    import warnings

    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # what it warns of is refused here
            with fits.open(path, memmap=False) as hdus:
                header = dict(hdus[0].header)
                names = [hdu.name for hdu in hdus]
                last = hdus[-1].fileinfo()
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a readable FITS file: {reason(error)}") from error
    size = path.stat().st_size
    expected = last["datLoc"] + last["datSpan"]
    if size < expected:
        raise InputError(f"{path}: truncated: {size} bytes, its headers promise {expected}")
    if "ASDF" not in names:
        raise InputError(f"{path}: truncated, or no JWST data model: it has no ASDF extension")
    return header
