"""The error of a context without a fitting rule; apart, because it takes crds to define it."""

from __future__ import annotations

from crds.core.exceptions import CrdsLookupError

from ..exceptions import ReferenceFileError


class ReferenceNotSelectedError(ReferenceFileError, CrdsLookupError):  # type: ignore[misc] # crds has no types
    """The context has no rule that fits the exposure.

    Also the error of the crds client: some steps catch that one and do without the reference.
    """
