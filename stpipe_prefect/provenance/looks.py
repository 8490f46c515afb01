"""Quick looks that are kept beside a record: each model as a small picture or a few points.

They are made when a model is saved, while it is in memory; docs/provenance.md describes the file.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any

from ..products.quicklook import COLOURS, encoded, smaller
from ..products.stretch import stretch_of
from .models import FLAGS, array_of, bits_of, columns_of, image_of, parts_of

logger = logging.getLogger(__name__)

SMALL, LARGE = 128, 400
"""Pixels of the longer side of an exposure's picture, and of one that is combined from several."""
QUALITY = 70
"""Of JPEG: what is larger is noise."""
POINTS = 256
"""Points of a spectrum, at most."""
SHARE = 0.05
"""Of the pixels that one of the picture stands for, so many must have a flag to show it."""


def look_at(model: Any, *, is_combined: bool = False) -> dict[str, Any]:
    """Make the quick look of a model; empty, if it holds neither an image nor a spectrum."""
    try:
        return _spectrum(model) or _image(model, LARGE if is_combined else SMALL)
    except Exception as error:  # a picture is no reason to fail
        logger.debug("%s: no quick look: %r", type(model).__name__, error, exc_info=True)
        return {}


def _image(model: Any, size: int) -> dict[str, Any]:
    import numpy as np

    part = parts_of(model)[0]
    found = image_of(part)
    if not found:
        return {}
    (data,) = found
    last = (-1,) * (data.ndim - 2)
    plane = np.asarray(data[last])
    shown = smaller(plane, size)
    stretch = stretch_of(shown)
    grey = (255 * np.nan_to_num(stretch(shown[::-1]))).astype(np.uint8)
    look = {
        "kind": "image",
        "shape": list(data.shape),
        "pixels": list(grey.shape[::-1]),
        "low": _number(stretch.low),
        "high": _number(stretch.high),
        "soft": _number(stretch.soft),
        "jpeg": b64encode(encoded(grey, "JPEG", quality=QUALITY)).decode(),
    }
    dq = array_of(part, "dq")
    if dq is not None and dq.shape == data.shape and (bits := bits_of(model)):
        flags = _flags(dq[last], bits, size)
        if flags.any():
            look["flags"] = b64encode(_overlay(flags[::-1])).decode()
    return look


def _flags(dq: Any, bits: dict[str, int], size: int) -> Any:
    """Give the number of the worst flag in each pixel of a picture; 0 is none."""
    import numpy as np

    step = -(-max(dq.shape) // size)
    rows, columns = (length // step for length in dq.shape)
    blocks = dq[: rows * step, : columns * step].reshape(rows, step, columns, step)
    shown = np.zeros((rows, columns), np.uint8)
    for number, name in reversed([*enumerate(FLAGS, 1)]):
        share = (blocks & bits[name] != 0).mean(axis=(1, 3))
        shown[share > SHARE] = number
    return shown


def _overlay(numbers: Any) -> bytes:
    """Make a PNG that is transparent where there is no flag."""
    import io

    from PIL import Image

    picture = Image.fromarray(numbers, "P")
    colours = [bytes.fromhex(COLOURS[name].removeprefix("#")) for name in FLAGS]
    picture.putpalette(bytes(3) + b"".join(colours))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0, optimize=True, bits=2)
    return buffer.getvalue()


def _spectrum(model: Any) -> dict[str, Any]:
    import numpy as np

    for part in parts_of(model):
        table = array_of(part, "spec_table")
        if table is None or not table.size or not table.dtype.names:
            continue
        flat = table if table.ndim == 1 and not table.dtype[0].shape else table[:1]
        columns = columns_of(flat)
        if "wavelength" not in columns:
            continue
        count = len(columns["wavelength"])
        step = -(-count // POINTS)
        flagged = columns["dq"] & bits_of(model).get("DO_NOT_USE", 0) != 0
        places = {
            name: _means(np.where(flagged & (name != "wavelength"), np.nan, columns[name]), step)
            for name in ("wavelength", "flux", "error")
        }
        return {
            "kind": "spectrum",
            "points": count,
            "per_point": step,
            **{name: [_number(value) for value in values] for name, values in places.items()},
        }
    return {}


def _means(values: Any, step: int) -> Any:
    """Take the mean of so many values at a time, without NaN."""
    import numpy as np

    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[: len(values)] = values
    blocks = padded.reshape(-1, step)
    count = np.isfinite(blocks).sum(axis=1)
    total = np.where(np.isfinite(blocks), blocks, 0).sum(axis=1)
    return np.where(count, total / np.maximum(count, 1), np.nan)


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if abs(value) < float("inf") else None
