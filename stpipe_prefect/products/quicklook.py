"""Quick looks: a product as a small PNG, to see at a glance whether something went wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 256
"""Pixels of the longer side, about."""

SPECTRA = ("EXTRACT1D", "COMBINE1D")


@dataclass(frozen=True)
class QuickLook:
    """A picture of a product, and what it shows.

    Attributes
    ----------
    png : bytes
    caption : str
    """

    png: bytes
    caption: str


def quick_look(product: Path) -> QuickLook | None:
    """Make a picture of an image, or of a spectrum.

    An image is stretched by asinh between the limits zscale finds; of a cube the last plane is
    shown, and what holds several spectra is shown by its first.
    """
    if product.suffix == ".fits":
        from astropy.io import fits

        with fits.open(product) as hdus:
            for name in SPECTRA:
                if name in hdus:
                    return _spectrum(product, hdus[name].data, hdus[name].columns)
    found = image_in(product)
    return _look_at(product, found) if found else None


@dataclass(frozen=True)
class ScienceImage:
    """The science data of a product: their last plane, the shape of all, and the unit."""

    plane: Any
    shape: tuple[int, ...]
    unit: str = ""


def image_in(product: Path) -> ScienceImage | None:
    """Read the science data of a product; None if it holds no image."""
    if product.suffix == ".asdf":
        return _in_asdf(product)
    return _in_fits(product) if product.suffix == ".fits" else None


def _in_fits(product: Path) -> ScienceImage | None:
    from astropy.io import fits

    with fits.open(product) as hdus:
        image = hdus["SCI"] if "SCI" in hdus else hdus[0]
        if getattr(image, "is_image", False) and image.data is not None and image.data.ndim >= 2:
            unit = str(image.header.get("BUNIT", ""))
            return ScienceImage(_last_plane(image.data), image.data.shape, unit)
    return None


def _in_asdf(product: Path) -> ScienceImage | None:
    import asdf

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with product.open("rb") as stream, asdf.open(stream) as file:
        data = file.tree.get("roman", {})
        data = data.get("data") if isinstance(data, Mapping) else getattr(data, "data", None)
        if data is None or np.ndim(data) < 2:
            return None
        return ScienceImage(_last_plane(np.asarray(data)), data.shape)


def _last_plane(data: Any) -> Any:
    return np.array(data[(-1,) * (data.ndim - 2)], dtype=float)


def _look_at(product: Path, image: ScienceImage) -> QuickLook:
    step = -(-max(image.plane.shape) // SIZE)
    shown = image.plane[::step, ::step]
    low, high = limits_of(shown)
    shape = " × ".join(map(str, image.shape[::-1]))  # noqa: RUF001 - as people write sizes
    limits = f"asinh from {low:.4g} to {high:.4g} {image.unit}".rstrip()
    return QuickLook(
        png_of(stretched(shown, low, high), SIZE), f"{product.name}: {shape} pixels, {limits}"
    )


def limits_of(plane: Any) -> tuple[float, float]:
    """Find between which values a plane is shown: zscale."""
    from astropy.visualization import ZScaleInterval

    finite = plane[np.isfinite(plane)]
    low, high = ZScaleInterval().get_limits(finite) if finite.size else (0.0, 1.0)
    if low == high:  # mostly one value, as in a map of segments
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def stretched(plane: Any, low: float, high: float) -> Any:
    """Stretch a plane by asinh to 0 … 1."""
    from astropy.visualization import AsinhStretch

    return AsinhStretch()(np.clip((plane - low) / ((high - low) or 1), 0, 1))


def png_of(values: Any, size: int) -> bytes:
    """Make a PNG of values from 0 to 1, grey or in three colours; a small one is enlarged.

    Blank pixels are black, and the first row is at the bottom, as in other viewers.
    """
    from PIL import Image

    times = max(1, round(size / max(values.shape[:2])))
    enlarged = values[::-1].repeat(times, axis=0).repeat(times, axis=1)
    buffer = io.BytesIO()
    Image.fromarray((255 * np.nan_to_num(enlarged)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _spectrum(product: Path, table: Any, columns: Any) -> QuickLook:
    from matplotlib.figure import Figure

    wavelength, flux = table["WAVELENGTH"], table["FLUX"]
    if wavelength.ndim > 1:
        wavelength, flux = wavelength[0], flux[0]
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(wavelength, flux, drawstyle="steps-mid", linewidth=1)
    axes.set_xlabel(f"wavelength ({columns['WAVELENGTH'].unit or 'um'})")
    axes.set_ylabel(f"flux ({columns['FLUX'].unit or 'Jy'})")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return QuickLook(buffer.getvalue(), f"{product.name}: {len(wavelength)} points")
