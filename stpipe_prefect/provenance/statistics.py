"""Statistics of a product, computed from the data model while it is in memory; and caveats.

docs/provenance.md lists names, units and how each is computed.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .estimators import (
    clipped_level,
    outlier_of_rows,
    point_sources,
    scatter_of_parts,
    scatter_of_rows,
    thinned,
)
from .models import array_of, bits_of, columns_of, held, image_of, parts_of, quality_of

logger = logging.getLogger(__name__)

_FIT = re.compile(r"FIT RMSE: (\S+)")
"""What tweakwcs logs of the residuals of each image that it aligns, in arcsec."""
_BLOCK = 2**20
"""Array elements that are looked at at a time."""
_DIGITS = 9
"""More than single precision has, and enough to tell all pixels from all but one."""


def statistics_of(model: Any) -> dict[str, float | int]:
    """Measure what a data model holds: sky, noise, flags, sources, spectra, alignment.

    The model is not changed, not even by default values that its attributes would get.

    Parameters
    ----------
    model : data model
        Of stdatamodels or roman_datamodels, open and in memory.

    Returns
    -------
    dict
        Only what applies to the model and is finite. What cannot be computed is left out, and
        logged at level DEBUG.
    """
    import numpy as np

    found: dict[str, float | int] = {}
    for measure in (_flags, _pixels, _spectra, _alignment):
        try:
            with np.errstate(all="ignore"):  # NaN are usual in images
                for name, value in measure(model):
                    if math.isfinite(value):
                        found[name] = _rounded(value)
        except Exception as error:  # nothing that a model holds may end the run that made it
            kind, what = type(model).__name__, measure.__name__.strip("_")
            logger.debug("%s: no statistics of %s: %r", kind, what, error, exc_info=True)
    return found


def caveats_of(statistics: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """Name what somebody who uses a product must know, each as a short kind and a reason."""
    caveats = []
    if 1 in (statistics.get("do_not_use_fraction"), statistics.get("spectrum_flagged_fraction")):
        caveats.append(("all DO_NOT_USE", "every pixel has this flag"))
    if statistics.get("nan_fraction") == 1:
        caveats.append(("all NaN", "there is no number in it"))
    if statistics.get("sources") == 0:
        caveats.append(("no sources", "nothing stands out from the sky"))
    return caveats


def _flags(model: Any) -> Iterator[tuple[str, float]]:
    """Give the fractions of flagged pixels; of ramps, saturated and jump count groups."""
    bits = bits_of(model)
    if not bits:
        return
    parts = parts_of(model)
    of_groups = [each for each in (array_of(part, "groupdq") for part in parts) if each is not None]
    names = ("dq", "pixeldq")
    of_pixels = [
        each for part in parts for name in names if (each := array_of(part, name)) is not None
    ]
    yield "saturated_fraction", _fraction(of_groups or of_pixels, bits["SATURATED"])
    yield "jump_fraction", _fraction(of_groups or of_pixels, bits["JUMP_DET"])
    yield "do_not_use_fraction", _fraction(of_pixels, bits["DO_NOT_USE"])


def _pixels(model: Any) -> Iterator[tuple[str, float]]:
    """Give what the values of images and cubes say; ramps and integers have no sky."""
    import numpy as np

    do_not_use = bits_of(model).get("DO_NOT_USE", 0)
    parts = [(data, quality_of(part, data)) for part in parts_of(model) for data in image_of(part)]
    if not parts:
        return
    yield "nan_fraction", _share([data for data, _ in parts], np.isnan)
    samples = [
        thinned(data)[np.isfinite(thinned(data)) & (thinned(dq) & do_not_use == 0)]
        for data, dq in parts
    ]
    good = np.concatenate(samples)
    if not good.size:
        return
    level, noise = clipped_level(good)
    yield "sky", level
    yield "sky_rms", noise
    if len(parts) > 1 or parts[0][0].ndim != 2:
        return
    image, dq = parts[0]
    bad = dq & do_not_use
    yield "row_scatter", scatter_of_rows(image, bad)
    yield "column_scatter", scatter_of_rows(image.T, bad.T)
    yield "row_outlier", outlier_of_rows(image, bad)
    yield "column_outlier", outlier_of_rows(image.T, bad.T)
    yield "background_scatter", scatter_of_parts(image, bad)
    if noise > 0 and "IMAGE" in (held(model, "meta.exposure.type") or "IMAGE"):
        count, width = point_sources(image, bad, level, noise)
        yield "sources", count
        yield "source_fwhm_pixels", width


def _spectra(model: Any) -> Iterator[tuple[str, float]]:
    """Give what tables of extracted spectra say."""
    import numpy as np

    tables = [
        columns_of(table)
        for part in parts_of(model)
        if (table := array_of(part, "spec_table")) is not None
    ]
    tables = [table for table in tables if table["flux"].size]
    if not tables:
        return
    do_not_use = bits_of(model).get("DO_NOT_USE", 0)
    flux, error, quality = (
        np.concatenate([table[name] for table in tables]) for name in ("flux", "error", "dq")
    )
    flagged = quality & do_not_use != 0
    yield "spectra", len(tables)
    yield "spectrum_flagged_fraction", flagged.mean()
    yield "nan_fraction", np.isnan(flux).mean()
    ratio = flux[~flagged] / error[~flagged]
    ratio = ratio[np.isfinite(ratio)]
    if ratio.size:
        yield "spectrum_snr", np.median(ratio)


def _alignment(model: Any) -> Iterator[tuple[str, float]]:
    """Give how far tweakreg moved an image, and what was left between it and the catalogue."""
    if not image_of(model):
        return
    wcs = held(model, "meta.wcs")
    if "v2v3corr" in getattr(wcs, "available_frames", ()):  # which tweakreg inserts
        v2, v3 = (float(held(model, f"meta.wcsinfo.{name}")) for name in ("v2_ref", "v3_ref"))
        moved_v2, moved_v3 = wcs.get_transform("v2v3", "v2v3corr")(v2, v3)
        across = (moved_v2 - v2) * math.cos(math.radians(v3 / 3600))
        yield "tweakreg_offset_arcsec", math.hypot(across, moved_v3 - v3)
    rmse = held(model, "meta.wcs_fit_results.rmse")  # Roman's tweakreg keeps what it has found
    if rmse is not None:
        yield "tweakreg_scatter_arcsec", rmse
        return
    logs = held(model, "cal_logs")  # of JWST's only the log, which is part of the product, tells
    lines = [line for log in logs.values() for line in log] if isinstance(logs, Mapping) else []
    if fits := [float(fit[1]) for line in lines if (fit := _FIT.search(line))]:
        yield "tweakreg_scatter_arcsec", max(fits)


def _fraction(arrays: Sequence[Any], bit: int) -> float:
    """Give the fraction of elements with a bit set; NaN if there are none."""
    return _share(arrays, lambda block: block & bit)


def _share(arrays: Sequence[Any], holds: Any) -> float:
    """Give the fraction of elements for which something is true or not zero, block by block."""
    import numpy as np

    total = sum(array.size for array in arrays)
    count = 0
    for array in arrays:
        flat = array.reshape(-1)
        for first in range(0, flat.size, _BLOCK):
            count += int(np.count_nonzero(holds(flat[first : first + _BLOCK])))
    return count / total if total else math.nan


def _rounded(value: float) -> float | int:
    """Leave out digits that say nothing."""
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
