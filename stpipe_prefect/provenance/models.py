"""What data models of either mission hold: arrays, flags, and facts of their headers.

Nothing of a model is changed, not even by default values that its attributes would get.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

FLAGS = ("DO_NOT_USE", "SATURATED", "JUMP_DET")
"""The flags that are counted and shown."""
_FLAGS = {
    "stdatamodels": "stdatamodels.jwst.datamodels.dqflags",
    "roman_datamodels": "roman_datamodels.dqflags",
}
"""Where a package of data models says what the bits of data quality arrays mean."""
_PARTS = ("slits", "exposures", "spec")
"""What models call the list of their parts, each with arrays of its own."""
_HEADER = {
    "instrument": ("instrument.name",),
    "detector": ("instrument.detector",),
    "filter": ("instrument.filter", "instrument.optical_element"),
    "pupil": ("instrument.pupil",),
    "grating": ("instrument.grating",),
    "channel": ("instrument.channel",),
    "band": ("instrument.band",),
    "exposure_type": ("exposure.type",),
    "target": ("target.catalog_name", "target.proposer_name"),
    "program": ("observation.program_number", "observation.program"),
    "exposure_time": ("exposure.exposure_time",),
    "unit": ("bunit_data",),
    "s_region": ("wcsinfo.s_region",),
}
"""Facts of a header, and where under ``meta`` models have them: the first that is there counts."""


def header_of(model: Any) -> dict[str, str | int | float]:
    """Give the facts by which products are grouped, named and placed on the sky."""
    found: dict[str, str | int | float] = {}
    for name, places in _HEADER.items():
        values = (held(model, f"meta.{place}") for place in places)
        value = next((each for each in values if each not in (None, "", "UNKNOWN", "?")), None)
        if value is not None:
            value = getattr(value, "item", lambda value=value: value)()  # numpy's numbers
            found[name] = value if isinstance(value, (int, float)) else str(value)
    return found


def is_of_exposure(model: Any) -> bool:
    """Tell whether a model is on the pixels of a detector, and not combined onto those of the sky.

    What is resampled has no flags of its own.
    """
    return any(held(part, "dq") is not None for part in parts_of(model))


def bits_of(model: Any) -> dict[str, int]:
    """Look up the bits of the flags that count; empty for models of unknown packages."""
    for each in type(model).__mro__:
        module = _FLAGS.get(each.__module__.partition(".")[0])
        if module:
            pixel = importlib.import_module(module).pixel
            return {name: int(pixel[name]) for name in FLAGS}
    return {}


def parts_of(model: Any) -> Sequence[Any]:
    """List what has arrays of its own: the model, or its slits, exposures or spectra."""
    for name in _PARTS:
        parts = held(model, name)
        if isinstance(parts, Sequence) and len(parts):
            return parts
    return [model]


def held(model: Any, path: str) -> Any:
    """Give what a model or a part of one holds under a dotted name; None if it does not.

    Attributes of models of stdatamodels make what is absent; their tree of plain dictionaries,
    ``instance``, does not.
    """
    node = getattr(model, "instance", model)
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else getattr(node, name, None)
    return node


def array_of(part: Any, name: str) -> Any:
    """Give an array, or table, that a model or a part of one holds."""
    import numpy as np

    found = held(part, name)
    return np.asanyarray(found) if hasattr(found, "__array__") else None


def image_of(part: Any) -> list[Any]:
    """List the image or cube of a part, if it has one."""
    data = array_of(part, "data")
    is_ramp = held(part, "groupdq") is not None
    if data is None or is_ramp or data.dtype.kind != "f" or data.ndim not in (2, 3):
        return []
    return [data]


def quality_of(part: Any, data: Any) -> Any:
    """Give the flags of an image or cube; zero everywhere, in no memory, if it has none."""
    import numpy as np

    dq = array_of(part, "dq")
    if dq is None or dq.shape != data.shape:
        return np.broadcast_to(np.uint32(0), data.shape)
    return dq


def columns_of(table: Any) -> dict[str, Any]:
    """Take the columns that count out of a table of a spectrum, or of several in its rows."""
    import numpy as np

    names = {name.lower(): name for name in table.dtype.names}
    error = names.get("flux_error", names.get("error"))
    columns = {"flux": names["flux"], "error": error, "dq": names["dq"]}
    columns |= {"wavelength": names["wavelength"]} if "wavelength" in names else {}
    return {key: np.ravel(table[name]) for key, name in columns.items()}
