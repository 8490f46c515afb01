"""What CRDS matches on, read from an exposure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..exceptions import InputError, reason


def read_crds_parameters(step_class: Any, data: Any) -> tuple[Mapping[str, Any], str]:
    """Read from an exposure what CRDS matches on.

    Returns
    -------
    dict, str
        The matching parameters and the observatory.

    Raises
    ------
    InputError
        The exposure or association cannot be read.
    """
    try:
        crds_parameters, observatory = step_class._get_crds_parameters(data)
    except Exception as error:
        label = Path(data).name if isinstance(data, (str, Path)) else type(data).__name__
        raise InputError(f"{label} cannot be read as an exposure: {reason(error)}") from error
    return crds_parameters, observatory
