"""Robust measures of an image: its level and noise, its stripes, its point sources.

They are cheap: what large images say is taken from a sample of their pixels, and only pixels
that stand out are looked at for sources.
"""

from __future__ import annotations

import math
from typing import Any

SAMPLE = 2**18
"""Pixels that are enough to know the level of an image."""
ROWS, PIXELS_OF_A_ROW = 512, 1024
"""So many are enough to know how the medians of rows scatter."""
PIXELS_OF_A_LINE = 256
"""So many of a row are enough to see that it stands out."""
PARTS, PIXELS_OF_A_PART = 8, 32
"""An image has so many parts in each direction, and of each so many pixels in each are enough."""

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution / its median absolute deviation."""
FWHM_TO_SIGMA = 2.3548
"""Full width at half maximum of a Gaussian / its standard deviation."""

_PEAK = 10.0
"""A source's peak stands so many times the noise above its surroundings."""
_NEIGHBOURS = 6.0
"""So many times the noise of one pixel are in the sum of the four pixels beside the peak.

The noise of this sum is twice that of a pixel, so this is three times its noise; hot pixels and
cosmic rays of one pixel are left out.
"""
_RING = 6
"""Pixels from a peak to those that its surroundings are measured in."""
_BLOCK = 2**20
"""Pixels that are searched for sources at a time."""


def clipped_level(values: Any) -> tuple[float, float]:
    """Measure the median of finite values and their standard deviation, without outliers.

    What is more than three standard deviations from the median is left out, until nothing is.
    The standard deviation is `MAD_TO_SIGMA` x the median absolute deviation.
    """
    import numpy as np

    while True:
        level = np.median(values)
        deviation = np.abs(values - level)
        sigma = MAD_TO_SIGMA * np.median(deviation)
        kept = values[deviation <= 3 * sigma]
        if kept.size == values.size:
            return float(level), float(sigma)
        values = kept


def thinned(array: Any) -> Any:
    """Take some `SAMPLE` pixels at equal distances, in all planes of a cube."""
    step = _step(math.sqrt(array.size), math.sqrt(SAMPLE))
    return array[..., ::step, ::step]


def scatter_of_rows(image: Any, bad: Any) -> float:
    """Measure how the medians of the rows of an image scatter, in standard deviations.

    Rows of which more than half is bad are left out. NaN, if all are.
    """
    import numpy as np

    medians = _medians_of_rows(image, bad, PIXELS_OF_A_ROW, ROWS)
    medians = medians[np.isfinite(medians)]
    return clipped_level(medians)[1] if medians.size else math.nan


def outlier_of_rows(image: Any, bad: Any) -> float:
    """Measure how far the row of an image that stands out most is from the four beside it.

    That is the median of a row less the median of those of the five rows around it; the largest
    absolute value. Rows of which more than half is bad are left out. NaN, if all are.
    """
    import numpy as np

    medians = _medians_of_rows(image, bad, PIXELS_OF_A_LINE, image.shape[0])
    padded = np.pad(medians, 2, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 5)
    away = np.abs(medians - _medians(around))
    away = away[np.isfinite(away)]
    return float(away.max()) if away.size else math.nan


def scatter_of_parts(image: Any, bad: Any) -> float:
    """Measure how the medians of `PARTS` x `PARTS` equal parts of an image scatter.

    It is their standard deviation, with no part left out: a step in the background is to be seen.
    Parts of which more than half is bad are left out. NaN, if less than two are not.
    """
    import numpy as np

    height, width = (length // PARTS for length in image.shape)
    if not height or not width:
        return math.nan
    down, across = (_step(length, PIXELS_OF_A_PART) for length in (height, width))
    used = np.s_[: PARTS * height, : PARTS * width]
    parts = np.where(bad[used], np.nan, image[used]).reshape(PARTS, height, PARTS, width)
    values = parts[:, ::down, :, ::across].swapaxes(1, 2).reshape(PARTS**2, -1)
    medians = _medians(values)[np.isfinite(values).mean(axis=1) >= 0.5]
    return float(np.std(medians)) if medians.size > 1 else math.nan


def point_sources(image: Any, bad: Any, level: float, noise: float) -> tuple[int, float]:
    """Count what looks like a point source, and measure the median width.

    Parameters
    ----------
    image, bad : numpy.ndarray
        Two-dimensional; `bad` is true or not zero for pixels that are no peaks.
    level, noise : float
        Of the sky; the noise is not zero.

    Returns
    -------
    int
        How many pixels are the largest of the 5 x 5 around them, and stand out from the median of
        a square ring of 13 x 13 pixels by ten times the noise: of the sky or of the ring, whatever
        is more. What is wider than the ring is not counted.
    float
        Full width at half maximum, in pixels, geometric mean of both axes; NaN without sources.
        It is that of the Gaussian through the peak and the two pixels beside it, which does not
        depend on where the centre is within the pixel. (Three points determine a parabola of
        logarithms: H. Guo 2011, IEEE Signal Processing Magazine 28, 134, on Caruana's method.)
    """
    import numpy as np

    rows = max(1, _BLOCK // image.shape[1])
    tops = range(_RING, image.shape[0] - _RING, rows)
    blocks = [slice(top, min(top + rows, image.shape[0] - _RING)) for top in tops]
    widths = [_sources(image, bad, level, noise, block) for block in blocks]
    found = np.concatenate(widths) if widths else np.empty(0)
    return found.size, float(np.median(found)) if found.size else math.nan


def _sources(image: Any, bad: Any, level: float, noise: float, rows: slice) -> Any:
    """Give the widths of the sources in some rows."""
    import numpy as np

    y, x = np.nonzero(image[rows, _RING:-_RING] > level + _PEAK * noise)
    y, x = y + rows.start, x + _RING
    reach = range(-2, 3)
    for dy, dx in ((dy, dx) for dy in reach for dx in reach if (dy, dx) != (0, 0)):
        peak, beside = image[y, x], image[y + dy, x + dx]
        lower = beside > peak if (dy, dx) > (0, 0) else beside >= peak  # of equal ones, the first
        y, x = y[~lower], x[~lower]
    y, x = (each[bad[y, x] == 0] for each in (y, x))
    dy, dx = np.array(
        [
            (dy, dx)
            for dy in range(-_RING, _RING + 1)
            for dx in range(-_RING, _RING + 1)
            if max(abs(dy), abs(dx)) == _RING and (dy + dx) % 2 == 0  # every other one will do
        ]
    ).T
    ring = image[y[:, None] + dy, x[:, None] + dx]
    floor = _medians(ring)
    local_noise = np.fmax(noise, MAD_TO_SIGMA * _medians(np.abs(ring - floor[:, None])))
    peak = image[y, x] - floor
    beside = np.array([image[y + dy, x + dx] for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))])
    beside = beside - floor
    real = (peak > _PEAK * local_noise) & (beside.sum(axis=0) > _NEIGHBOURS * local_noise)
    slopes = np.log(peak) - np.log(beside)  # of the logarithm: (1 -/+ 2 x centre) / (2 sigma^2)
    variances = 1 / (slopes[::2] + slopes[1::2])
    widths = FWHM_TO_SIGMA * np.sqrt(np.sqrt(variances[0] * variances[1]))
    return widths[real & (widths <= 2 * _RING)]


def _medians(values: Any) -> Any:
    """Give the median of each row, without NaN; NaN where there is nothing else."""
    import numpy as np

    ordered = np.sort(values, axis=1)  # NaN come last; nanmedian takes ten times as long
    count = values.shape[1] - np.isnan(ordered).sum(axis=1)
    row = np.arange(len(ordered))
    return (ordered[row, (count - 1) // 2] + ordered[row, count // 2]) / 2


def _medians_of_rows(image: Any, bad: Any, pixels: int, count: int) -> Any:
    """Give the medians of some rows, each of some of its pixels; NaN if more than half is bad."""
    import numpy as np

    rows, columns = image.shape
    chosen = np.s_[:: _step(rows, count), :: _step(columns, pixels)]
    values = np.where(bad[chosen], np.nan, image[chosen])
    medians = _medians(values)
    medians[np.isfinite(values).mean(axis=1) < 0.5] = np.nan
    return medians


def _step(size: float, enough: float) -> int:
    """Give the distance at which pixels are taken: odd, as readouts repeat by even numbers."""
    return math.ceil(size / enough) | 1 if size > enough else 1
