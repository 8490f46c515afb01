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
    if product.suffix == ".asdf":
        return _of_asdf(product)
    return _of_fits(product) if product.suffix == ".fits" else None


def _of_fits(product: Path) -> QuickLook | None:
    from astropy.io import fits

    with fits.open(product) as hdus:
        for name in SPECTRA:
            if name in hdus:
                return _spectrum(product, hdus[name].data, hdus[name].columns)
        image = hdus["SCI"] if "SCI" in hdus else hdus[0]
        if getattr(image, "is_image", False) and image.data is not None and image.data.ndim >= 2:
            return _image(product, image.data, str(image.header.get("BUNIT", "")))
    return None


def _of_asdf(product: Path) -> QuickLook | None:
    import asdf

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with product.open("rb") as stream, asdf.open(stream) as file:
        data = file.tree.get("roman", {})
        data = data.get("data") if isinstance(data, Mapping) else getattr(data, "data", None)
        if data is None or np.ndim(data) < 2:
            return None
        return _image(product, np.asarray(data), "")


def _image(product: Path, data: Any, unit: str) -> QuickLook:
    from astropy.visualization import AsinhStretch, ZScaleInterval
    from PIL import Image

    plane = np.asarray(data[(-1,) * (data.ndim - 2)], dtype=float)
    step = -(-max(plane.shape) // SIZE)
    shown = plane[::step, ::step]
    finite = shown[np.isfinite(shown)]
    low, high = ZScaleInterval().get_limits(finite) if finite.size else (0.0, 1.0)
    if low == high:  # mostly one value, as in a map of segments
        low, high = finite.min(), finite.max()
    stretched = AsinhStretch()(np.clip((shown - low) / ((high - low) or 1), 0, 1))
    times = max(1, round(SIZE / max(shown.shape)))
    enlarged = np.kron(stretched, np.ones((times, times)))
    buffer = io.BytesIO()
    # Blank pixels are black, and the first row is at the bottom, as in other viewers.
    Image.fromarray((255 * np.nan_to_num(enlarged[::-1])).astype(np.uint8)).save(buffer, "PNG")
    shape = " × ".join(map(str, data.shape[::-1]))  # noqa: RUF001 - as people write sizes
    return QuickLook(
        buffer.getvalue(),
        f"{product.name}: {shape} pixels, asinh from {low:.4g} to {high:.4g} {unit}".rstrip(),
    )


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
