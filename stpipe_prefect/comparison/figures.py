"""By how much two arrays of one shape differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tolerance:
    """Values that differ by at most ``atol + rtol * |b|`` are equal; by default only the same are.

    Attributes
    ----------
    rtol, atol : float
        Relative and absolute, as `numpy.isclose` has them.
    """

    rtol: float = 0.0
    atol: float = 0.0


@dataclass(frozen=True)
class Figures:
    """How the values of two arrays A and B differ; NaN is equal to NaN.

    Attributes
    ----------
    total : int
        How many values each array has.
    differing : int
    one_sided : int
        How many of those are finite in one array only; they have no difference B - A.
    largest, median : float or None
        Of the absolute differences of the values that differ. None if there are none,
        or if the values are no numbers.
    largest_in_err, median_in_err : float or None
        The same in units of A's error, where it is finite and positive.
    """

    total: int
    differing: int
    one_sided: int = 0
    largest: float | None = None
    median: float | None = None
    largest_in_err: float | None = None
    median_in_err: float | None = None


def figures_of(a: Any, b: Any, tolerance: Tolerance, err: Any = None) -> Figures:
    """Compare two arrays of one shape; `err` is the error of A, of that shape too."""
    import numpy as np

    a, b = np.asarray(a), np.asarray(b)
    differs = differing(a, b, tolerance)
    count = int(np.count_nonzero(differs))
    if not count or not _are_numbers(a, b):
        return Figures(a.size, count)
    in_a, in_b = _wide(a[differs]), _wide(b[differs])
    finite = np.isfinite(in_a) & np.isfinite(in_b)
    delta = np.abs(in_b[finite] - in_a[finite])
    largest, median = _largest_and_median(delta)
    in_err: tuple[float | None, float | None] = None, None
    if err is not None:
        error = _wide(np.asarray(err)[differs])[finite]
        usable = np.isfinite(error) & (error > 0)
        in_err = _largest_and_median(delta[usable] / error[usable])
    return Figures(a.size, count, count - delta.size, largest, median, *in_err)


def differing(a: Any, b: Any, tolerance: Tolerance) -> Any:
    """Tell of each value whether it differs.

    Not with `astropy.utils.diff.where_not_allclose`, for which NaN is equal to 0.
    """
    import numpy as np

    a, b = np.asarray(a), np.asarray(b)
    if not _are_numbers(a, b):
        return a != b
    with np.errstate(invalid="ignore"):  # inf - inf
        if tolerance.rtol or tolerance.atol:
            close = np.isclose(a, b, tolerance.rtol, tolerance.atol, equal_nan=True)
            return np.logical_not(close)
        return (a != b) & ~(np.isnan(a) & np.isnan(b))


def _are_numbers(*arrays: Any) -> bool:
    return all(array.dtype.kind in "biufc" for array in arrays)


def _wide(values: Any) -> Any:
    """Put values into a type in which a difference neither overflows nor is rounded to float32."""
    return values.astype("c16" if values.dtype.kind == "c" else "f8")


def _largest_and_median(values: Any) -> tuple[float | None, float | None]:
    import numpy as np

    return (float(values.max()), float(np.median(values))) if values.size else (None, None)
