"""Pictures of two products: both with one stretch, their difference, and its histogram."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stpipe_prefect.products.quicklook import image_in, png_of
from stpipe_prefect.products.stretch import Stretch, stretch_of

SIZE = 400
"""Pixels of the longer side of a picture, about."""

BINS = 61
LESS, MORE = (0.29, 0.66, 1.0), (1.0, 0.6, 0.2)
"""Colours where B is less than A, and where it is more: told apart also by who sees no red."""


@dataclass(frozen=True)
class Pictures:
    """What a page shows of two images.

    Attributes
    ----------
    a, b : str
        PNGs as data URIs.
    stretch : Stretch
        Of both.
    unit : str
    difference : str
        B - A; empty if the shapes differ.
    limit : float
        The difference that has full colour.
    counts : list of int
        How many pixels have a difference in each of the bins from -limit to limit; those beyond
        are in the outermost.
    """

    a: str
    b: str
    stretch: Stretch
    unit: str
    difference: str = ""
    limit: float = 0.0
    counts: tuple[int, ...] = ()


def pictures_of(a: Path, b: Path) -> Pictures | None:
    """Make the pictures of two products; None if one of them holds no image."""
    one, other = image_in(a), image_in(b)
    if one is None or other is None:
        return None
    stretch = stretch_of(_strided(one.plane))
    in_a, in_b = (_data_uri(png_of(stretch(_strided(each.plane)), SIZE)) for each in (one, other))
    same_shape = one.plane.shape == other.plane.shape
    difference = _difference(one.plane, other.plane) if same_shape else ()
    return Pictures(in_a, in_b, stretch, one.unit, *difference)


def _difference(a: Any, b: Any) -> tuple[str, float, tuple[int, ...]]:
    """Draw a difference: nothing is black, what is finite in one image only is grey."""
    delta = b - a
    finite = delta[np.isfinite(delta)]
    changed = np.abs(finite[finite != 0])
    limit = float(np.percentile(changed, 99)) if changed.size else 0.0
    delta[np.isnan(a) & np.isnan(b)] = 0
    share = np.clip(_largest(delta) / (limit or 1), -1, 1)[..., None]
    colour = np.where(share < 0, -share * LESS, share * MORE)
    counts, _ = np.histogram(np.clip(finite, -limit, limit), BINS, (-limit or -1, limit or 1))
    colour = np.where(np.isnan(share), 0.5, colour)
    return _data_uri(png_of(colour, SIZE)), limit, tuple(map(int, counts))


def _strided(plane: Any) -> Any:
    step = -(-max(plane.shape) // SIZE)
    return plane[::step, ::step]


def _largest(delta: Any) -> Any:
    """Make a plane smaller so that one pixel that differs is still seen."""
    step = -(-max(delta.shape) // SIZE)
    rows, columns = (-(-length // step) for length in delta.shape)
    padded = np.zeros((rows * step, columns * step))
    padded[: delta.shape[0], : delta.shape[1]] = delta
    blocks = padded.reshape(rows, step, columns, step).swapaxes(1, 2).reshape(rows, columns, -1)
    strongest = np.abs(np.nan_to_num(blocks, nan=0.0)).argmax(axis=-1)[..., None]
    found = np.nan_to_num(np.take_along_axis(blocks, strongest, axis=-1)[..., 0], nan=0.0)
    return np.where((found == 0) & np.isnan(blocks).any(axis=-1), np.nan, found)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
