"""How values of an image become brightness: sky in dark grey, and stars not all white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BELOW, ABOVE = 2.0, 12.0
"""Black is so many times the noise below the sky; white is at least so many above it."""
BRIGHT = 99.95
"""Percentile of the pixels that is white, if that is more."""
SOFT = 2.0
"""Times the noise: below this the stretch is linear, above it logarithmic."""


@dataclass(frozen=True)
class Stretch:
    """An asinh stretch.

    Attributes
    ----------
    low, high : float
        Values that are black and white.
    soft : float
        Distance from `low` at which the stretch goes from linear to logarithmic.
    """

    low: float
    high: float
    soft: float

    def __call__(self, values: Any) -> Any:
        """Stretch values to 0 … 1."""
        import numpy as np

        above = np.clip(values, self.low, self.high) - self.low
        return np.arcsinh(above / self.soft) / np.arcsinh((self.high - self.low) / self.soft)

    def inverse(self, shares: Any) -> Any:
        """Give the values that are stretched to these."""
        import numpy as np

        whole = np.arcsinh((self.high - self.low) / self.soft)
        return self.low + self.soft * np.sinh(np.asarray(shares) * whole)

    def __str__(self) -> str:
        return f"asinh from {self.low:.4g} to {self.high:.4g}"


def stretch_of(plane: Any) -> Stretch:
    """Find the stretch that shows both the noise of the sky and the shape of bright sources."""
    import numpy as np

    finite = plane[np.isfinite(plane)].astype(float)
    if not finite.size:
        return Stretch(0.0, 1.0, 1.0)
    if finite.size > 2**18:
        finite = finite[:: -(-finite.size // 2**18)]
    sky = float(np.median(finite))
    noise = 1.4826 * float(np.median(np.abs(finite - sky)))
    low, high = float(finite.min()), float(finite.max())
    if noise > 0:
        high = min(high, max(float(np.percentile(finite, BRIGHT)), sky + ABOVE * noise))
        low = max(low, sky - BELOW * noise)
    if not low < high:
        high = low + (abs(low) or 1.0)
    return Stretch(low, high, SOFT * noise if noise > 0 else (high - low) / 10)
