"""Which CRDS context reprocessing follows: the newest, unless somebody says otherwise."""

from __future__ import annotations

import os
from collections.abc import Collection

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.references.context import CONTEXT_VARIABLE

NEWEST = "latest"
"""Not what the crds client takes for JWST by default: the context of the installed software changes
with the software alone, and nothing would ever become stale between two releases."""


def context_to_follow(observatory: str, given: str | None = None) -> str:
    """Say which context to follow, as `stpipe_prefect.references.context` takes it.

    That which is given, or else ``CRDS_CONTEXT``, or else the newest that is operational. A name of
    a context, such as ``"jwst_1303.pmap"``, counts for its own observatory.
    """
    for wanted in (given, os.environ.get(CONTEXT_VARIABLE)):
        if wanted and (not wanted.endswith(".pmap") or wanted.startswith(f"{observatory}_")):
            return wanted
    return NEWEST


def check_context(given: str | None, observatories: Collection[str]) -> None:
    """Refuse a context of an observatory that no exposure is of.

    Raises
    ------
    UsageError
        It would have no effect.
    """
    if not observatories or not given or not given.endswith(".pmap"):
        return
    if given.partition("_")[0] not in observatories:
        names = " and ".join(sorted(observatories))
        raise UsageError(f"context {given}: the archive holds exposures of {names} alone")
