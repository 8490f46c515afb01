"""Statistics of a product, computed from the data model while it is in memory; and caveats.

docs/provenance.md lists names, units and how each is computed.
"""

from __future__ import annotations

import importlib
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .estimators import clipped_level, point_sources, scatter_of_rows, thinned

logger = logging.getLogger(__name__)

_FLAGS = {
    "stdatamodels": "stdatamodels.jwst.datamodels.dqflags",
    "roman_datamodels": "roman_datamodels.dqflags",
}
"""Where a package of data models says what the bits of data quality arrays mean."""
_PARTS = ("slits", "exposures", "spec")
"""What models call the list of their parts, each with arrays of its own."""
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
    bits = _bits(model)
    if not bits:
        return
    parts = _parts(model)
    of_groups = [each for each in (_array(part, "groupdq") for part in parts) if each is not None]
    names = ("dq", "pixeldq")
    of_pixels = [
        each for part in parts for name in names if (each := _array(part, name)) is not None
    ]
    yield "saturated_fraction", _fraction(of_groups or of_pixels, bits["SATURATED"])
    yield "jump_fraction", _fraction(of_groups or of_pixels, bits["JUMP_DET"])
    yield "do_not_use_fraction", _fraction(of_pixels, bits["DO_NOT_USE"])


def _pixels(model: Any) -> Iterator[tuple[str, float]]:
    """Give what the values of images and cubes say; ramps and integers have no sky."""
    import numpy as np

    do_not_use = _bits(model).get("DO_NOT_USE", 0)
    parts = [(data, _quality(part, data)) for part in _parts(model) for data in _image(part)]
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
    if noise > 0 and "IMAGE" in (_held(model, "meta.exposure.type") or "IMAGE"):
        count, width = point_sources(image, bad, level, noise)
        yield "sources", count
        yield "source_fwhm_pixels", width


def _spectra(model: Any) -> Iterator[tuple[str, float]]:
    """Give what tables of extracted spectra say."""
    import numpy as np

    tables = [
        _columns(table)
        for part in _parts(model)
        if (table := _array(part, "spec_table")) is not None
    ]
    tables = [table for table in tables if table["flux"].size]
    if not tables:
        return
    do_not_use = _bits(model).get("DO_NOT_USE", 0)
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
    if not _image(model):
        return
    wcs = _held(model, "meta.wcs")
    if "v2v3corr" in getattr(wcs, "available_frames", ()):  # which tweakreg inserts
        v2, v3 = (float(_held(model, f"meta.wcsinfo.{name}")) for name in ("v2_ref", "v3_ref"))
        moved_v2, moved_v3 = wcs.get_transform("v2v3", "v2v3corr")(v2, v3)
        across = (moved_v2 - v2) * math.cos(math.radians(v3 / 3600))
        yield "tweakreg_offset_arcsec", math.hypot(across, moved_v3 - v3)
    rmse = _held(model, "meta.wcs_fit_results.rmse")  # Roman's tweakreg keeps what it has found
    if rmse is not None:
        yield "tweakreg_scatter_arcsec", rmse
        return
    logs = _held(model, "cal_logs")  # of JWST's only the log, which is part of the product, tells
    lines = [line for log in logs.values() for line in log] if isinstance(logs, Mapping) else []
    if fits := [float(fit[1]) for line in lines if (fit := _FIT.search(line))]:
        yield "tweakreg_scatter_arcsec", max(fits)


def _bits(model: Any) -> dict[str, int]:
    """Look up the bits of the flags that count; empty for models of unknown packages."""
    for each in type(model).__mro__:
        module = _FLAGS.get(each.__module__.partition(".")[0])
        if module:
            pixel = importlib.import_module(module).pixel
            return {name: int(pixel[name]) for name in ("DO_NOT_USE", "SATURATED", "JUMP_DET")}
    return {}


def _parts(model: Any) -> Sequence[Any]:
    """List what has arrays of its own: the model, or its slits, exposures or spectra."""
    for name in _PARTS:
        parts = _held(model, name)
        if isinstance(parts, Sequence) and len(parts):
            return parts
    return [model]


def _held(model: Any, path: str) -> Any:
    """Give what a model or a part of one holds under a dotted name; None if it does not.

    Attributes of models of stdatamodels make what is absent; their tree of plain dictionaries,
    ``instance``, does not.
    """
    node = getattr(model, "instance", model)
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else getattr(node, name, None)
    return node


def _array(part: Any, name: str) -> Any:
    """Give an array, or table, that a model or a part of one holds."""
    import numpy as np

    held = _held(part, name)
    return np.asanyarray(held) if hasattr(held, "__array__") else None


def _image(part: Any) -> list[Any]:
    """List the image or cube of a part, if it has one."""
    data = _array(part, "data")
    is_ramp = _held(part, "groupdq") is not None
    if data is None or is_ramp or data.dtype.kind != "f" or data.ndim not in (2, 3):
        return []
    return [data]


def _quality(part: Any, data: Any) -> Any:
    """Give the flags of an image or cube; zero everywhere, in no memory, if it has none."""
    import numpy as np

    dq = _array(part, "dq")
    if dq is None or dq.shape != data.shape:
        return np.broadcast_to(np.uint32(0), data.shape)
    return dq


def _columns(table: Any) -> dict[str, Any]:
    """Take the columns that count out of a table of a spectrum, or of several in its rows."""
    import numpy as np

    names = {name.lower(): name for name in table.dtype.names}
    error = names.get("flux_error", names.get("error"))
    columns = {"flux": names["flux"], "error": error, "dq": names["dq"]}
    return {key: np.ravel(table[name]) for key, name in columns.items()}


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
