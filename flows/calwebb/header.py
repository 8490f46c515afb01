"""What the header of an exposure says, and whether its file is whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.calibrate.inputs import check_is_file
from flows.calibrate.selectors import Facts
from stpipe_prefect.exceptions import InputError, reason

TARGET = {"target": ("TARGPROP", "TARGNAME")}
"""What stands for several keywords, of which the first that has a value counts."""

_NAME = re.compile(
    r"jw(?P<program>\d{5})(?P<observation>\d{3})(?P<visit>\d{3})"
    r"_(?P<group>\d\d)(?P<sequence>\d)(?P<activity>[0-9a-z]{2})"
    r"_(?P<exposure>\d{5})(?:-seg\d+)?_(?P<detector>[0-9a-z]+)",
    re.IGNORECASE,
)


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
    header : mapping
        Its primary header.
    """

    path: Path
    exp_type: str
    time_series: bool
    suffix: str
    header: Mapping[str, object] = field(repr=False)


def read_exposure(path: Path) -> Exposure:
    """Find out what an exposure is, and that it is whole.

    Raises
    ------
    InputError
        It is missing, of another format or telescope, or cut short.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if start != b"SIMPLE  =":
        packed = start.startswith(b"\x1f\x8b")
        found = "does not start with SIMPLE" if start else "is empty"
        raise InputError(
            f"{path}: not a FITS file: it "
            f"{'is gzip-compressed; run gunzip first' if packed else found}"
        )
    header = _whole_header(path)
    telescope = str(header.get("TELESCOP", "none")).strip()
    if telescope != "JWST":
        raise InputError(f"{path}: TELESCOP is {telescope}, expected JWST")
    if "EXP_TYPE" not in header:
        raise InputError(f"{path}: no EXP_TYPE in its primary header, so no pipeline fits")
    suffix = re.search(r"_([a-z0-9]+)$", path.stem)
    return Exposure(
        path=path,
        exp_type=str(header["EXP_TYPE"]),
        time_series=bool(header.get("TSOVISIT", False)),
        suffix=suffix.group(1) if suffix else "",
        header=header,
    )


def facts(path: Path, keywords: Collection[str] | None = None) -> Facts:
    """Say what the header and name of an exposure have for keywords, or all; see `facts_of`.

    Raises
    ------
    InputError
        See `read_exposure`.
    """
    header = read_exposure(path).header
    if keywords is None:
        keywords = [*map(str.lower, filter(None, header)), *TARGET, *_NAME.groupindex]
    return facts_of(path, header, keywords)


def facts_of(path: Path, header: Mapping[str, object], keywords: Collection[str]) -> Facts:
    """Take from a header what it has for keywords; parts of the file name where it has nothing.

    Source of the parts: JWST documentation, "File Naming Conventions",
    https://jwst-pipeline.readthedocs.io/en/latest/jwst/data_products/file_naming.html.
    """
    if not keywords:
        return {}
    parts = found.groupdict() if (found := _NAME.match(path.name)) else {}
    values = {
        name: next(
            (
                header[keyword]
                for keyword in TARGET.get(name.lower(), (name.upper(),))
                if header.get(keyword) not in (None, "")
            ),
            parts.get(name.lower()),
        )
        for name in keywords
    }
    return {name: value for name, value in values.items() if value is not None}


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
                size = path.stat().st_size
    except Exception as error:  # whatever astropy makes of a damaged header
        raise InputError(f"{path}: not a readable FITS file: {reason(error)}") from error
    expected = last["datLoc"] + last["datSpan"]
    if size < expected:
        raise InputError(f"{path}: truncated: {size} bytes, its headers declare {expected}")
    if "ASDF" not in names:
        raise InputError(f"{path}: truncated, or not a JWST data model: it has no ASDF extension")
    return header
