"""Quick looks: a product as a picture, to see whether something went wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .stretch import stretch_of

SIZE = 512
"""Pixels of the longer side of an image that is drawn, about."""

SPECTRA = ("EXTRACT1D", "COMBINE1D")
FLAGS = {"DO_NOT_USE": 1, "SATURATED": 2, "JUMP_DET": 4}
"""Flags that are shown, with the bits that they are in the files of both missions."""
COLOURS = {"DO_NOT_USE": "#e4572e", "SATURATED": "#ffd23f", "JUMP_DET": "#3fa7ff"}
"""Of the flags; told apart also by who sees no red."""


@dataclass(frozen=True)
class QuickLook:
    """A picture of a product, and what it shows.

    Attributes
    ----------
    webp : bytes
    caption : str
    """

    webp: bytes
    caption: str


@dataclass(frozen=True)
class ScienceImage:
    """The science data of a product.

    Attributes
    ----------
    plane : numpy.ndarray
        Of a cube, the last one.
    shape : tuple of int
        Of all data.
    unit : str
    title : str
        Instrument, filter, target and the like.
    flags : numpy.ndarray or None
        Bits of the same plane.
    wcs : astropy.wcs.WCS or gwcs.WCS or None
        Of an image that is drizzled onto the sky.
    """

    plane: Any
    shape: tuple[int, ...]
    unit: str = ""
    title: str = ""
    flags: Any = None
    wcs: Any = None


@dataclass(frozen=True)
class Ramp:
    """Groups of a ramp: those of its last integration, rows and columns, and their flags."""

    groups: Any
    flags: Any
    shape: tuple[int, ...]
    unit: str
    title: str


@dataclass(frozen=True)
class Spectrum:
    """The first spectrum of a product; `error` and `flagged` may be None."""

    wavelength: Any
    flux: Any
    error: Any
    flagged: Any
    units: tuple[str, str]
    title: str


def quick_look(product: Path) -> QuickLook | None:
    """Make a picture of an image, a ramp or a spectrum; None if the product holds none of these.

    Of what holds several spectra, the first is shown.
    """
    shown = _read(product)
    if shown is None:
        return None
    from . import figures

    if isinstance(shown, Spectrum):
        figure = figures.of_spectrum(product.name, shown)
        caption = f"{product.name}: {len(shown.wavelength)} points"
    else:
        stretch = None
        if isinstance(shown, Ramp):
            figure = figures.of_ramp(product.name, shown)
        else:
            stretch = stretch_of(shown.plane)
            figure = figures.of_image(product.name, shown, stretch)
        sizes = " × ".join(map(str, shown.shape[::-1]))  # noqa: RUF001 - as people write sizes
        how = f", {stretch} {shown.unit}".rstrip() if stretch else ""
        caption = f"{product.name}: {sizes} pixels{how}"
    return QuickLook(figures.as_webp(figure), caption)


def image_in(product: Path) -> ScienceImage | None:
    """Read the science data of a product; None if it holds no image."""
    found = _read(product, ramps=False)
    return found if isinstance(found, ScienceImage) else None


def _read(product: Path, *, ramps: bool = True) -> ScienceImage | Ramp | Spectrum | None:
    if product.suffix == ".asdf":
        return _in_asdf(product)
    return _in_fits(product, ramps) if product.suffix == ".fits" else None


def _in_fits(product: Path, ramps: bool) -> ScienceImage | Ramp | Spectrum | None:
    from astropy.io import fits

    with fits.open(product) as hdus:
        about = hdus[0].header
        names = ("INSTRUME", "DETECTOR", "FILTER", "PUPIL", "GRATING", "TARGNAME")
        values = [str(about[name]).strip() for name in names if about.get(name)]
        title = " · ".join(value for value in values if value not in ("", "N/A", "UNKNOWN"))
        for name in SPECTRA:
            if name in hdus:
                return _spectrum(hdus[name].data, hdus[name].columns, title)
        image = hdus["SCI"] if "SCI" in hdus else hdus[0]
        if not getattr(image, "is_image", False) or image.data is None or image.data.ndim < 2:
            return None
        unit = str(image.header.get("BUNIT", ""))
        if ramps and image.data.ndim == 4 and image.data.shape[1] > 1:
            dq = hdus["GROUPDQ"].data[-1] if "GROUPDQ" in hdus else None
            flags = np.zeros(image.data.shape[1:], "u1") if dq is None else np.array(dq)
            return Ramp(np.array(image.data[-1], float), flags, image.data.shape, unit, title)
        quality = hdus["DQ"].data if "DQ" in hdus else None
        return ScienceImage(
            _last_plane(image.data),
            image.data.shape,
            unit,
            title,
            _last_bits(quality) if getattr(quality, "shape", ()) == image.data.shape else None,
            _wcs(image.header) if "DQ" not in hdus else None,
        )


def _in_asdf(product: Path) -> ScienceImage | None:
    import asdf

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with product.open("rb") as stream, asdf.open(stream) as file:
        roman = file.tree.get("roman", {})
        data, dq, meta = (_member(roman, name) for name in ("data", "dq", "meta"))
        if data is None or np.ndim(data) < 2:
            return None
        about = _member(meta, "instrument")
        values = [_member(about, name) for name in ("name", "detector", "optical_element")]
        flags = _last_bits(np.asarray(dq)) if np.shape(dq) == np.shape(data) else None
        title = " · ".join(str(value) for value in values if value)
        wcs = _grid(_member(meta, "wcs")) if dq is None else None
        return ScienceImage(_last_plane(np.asarray(data)), data.shape, "", title, flags, wcs)


def _member(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, Mapping) else getattr(node, name, None)


def _grid(wcs: Any) -> Any:
    """Give the WCS of gwcs of an image on the sky, also of pixels that have no data."""
    if getattr(wcs, "world_n_dim", 0) != 2 or "pos.eq.ra" not in wcs.world_axis_physical_types:
        return None
    wcs.bounding_box = None
    return wcs


def _wcs(header: Any) -> Any:
    """Read the WCS of an image on the sky; None if the header has none that is valid."""
    import warnings

    from astropy.wcs import WCS

    if not str(header.get("CTYPE1", "")).startswith("RA"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return WCS(header).celestial
    except Exception:  # a grid is no reason to fail
        return None


def _last_plane(data: Any) -> Any:
    return np.array(data[(-1,) * (data.ndim - 2)], dtype=float)


def _last_bits(data: Any) -> Any:
    return np.array(data[(-1,) * (data.ndim - 2)])


def _spectrum(table: Any, columns: Any, title: str) -> Spectrum:
    names = {name.upper(): name for name in columns.names}
    error = names.get("FLUX_ERROR", names.get("ERROR"))

    def first(name: str | None) -> Any:
        if name is None:
            return None
        values = np.asarray(table[name])
        return values[0] if values.ndim > 1 else values

    bits = first(names.get("DQ"))
    return Spectrum(
        first(names["WAVELENGTH"]),
        first(names["FLUX"]),
        first(error),
        None if bits is None else bits & FLAGS["DO_NOT_USE"] != 0,
        (columns[names["WAVELENGTH"]].unit or "um", columns[names["FLUX"]].unit or "Jy"),
        title,
    )


def smaller(plane: Any, size: int) -> Any:
    """Make a plane smaller, each pixel the mean of those it stands for, without NaN."""
    step = -(-max(plane.shape) // size)
    if step == 1:
        return plane
    rows, columns = (length // step for length in plane.shape)
    blocks = plane[: rows * step, : columns * step].reshape(rows, step, columns, step)
    with np.errstate(invalid="ignore"):
        found = blocks.mean(axis=(1, 3), dtype=float)
    broken = ~np.isfinite(found)
    if broken.any():
        values = blocks.swapaxes(1, 2)[broken]
        kept = np.isfinite(values)
        count = kept.sum(axis=(1, 2))
        total = np.where(kept, values, 0).sum(axis=(1, 2), dtype=float)
        found[broken] = np.where(count, total / np.maximum(count, 1), np.nan)
    return found


def encoded(picture: Any, kind: str, **options: Any) -> bytes:
    """Encode an image of bytes as PNG, JPEG or so."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def png_of(values: Any, size: int) -> bytes:
    """Make a PNG of values from 0 to 1, grey or in three colours; a small one is enlarged.

    Blank pixels are black, and the first row is at the bottom, as in other viewers.
    """
    times = max(1, round(size / max(values.shape[:2])))
    enlarged = values[::-1].repeat(times, axis=0).repeat(times, axis=1)
    return encoded((255 * np.nan_to_num(enlarged)).astype(np.uint8), "PNG")
