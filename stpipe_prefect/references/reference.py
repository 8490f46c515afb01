"""One reference file: which it is, what it is for, and what is known of it in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..workarounds import crds_path

NOT_APPLICABLE = "N/A"
URI_SCHEME = "crds://"


@dataclass(frozen=True)
class ReferenceFile:
    """A reference file, parameter file or mapping of CRDS.

    Attributes
    ----------
    name : str
        Of the file; ``"N/A"`` where none applies.
    reference_type : str
        Such as ``"flat"``; of a mapping, ``"mapping"``.
    observatory, context : str
    exposure : str
        File name of the exposure it is for, if known.
    sha1 : str
        Empty until the file in the cache was compared with it.
    size : int
        Bytes, of a verified file.
    origin : str
        Where a verified file is from: ``"cached"``, ``"fetched"`` where it was not in the cache
        before, or ``"override"``, of which `name` is the path.
    """

    name: str
    reference_type: str
    observatory: str
    context: str
    exposure: str = ""
    sha1: str = ""
    size: int = 0
    origin: str = ""

    @property
    def path(self) -> Path:
        """Its place in the cache."""
        return crds_path(self.name, self.observatory)

    def __str__(self) -> str:
        kind = self.reference_type if self.is_mapping else f"{self.reference_type} reference"
        exposure = f" for {self.exposure}" if self.exposure else ""
        return f"{kind} {self.name} ({self.context}){exposure}"

    @property
    def applies(self) -> bool:
        """Whether there is such a file, rather than the rule that none applies."""
        return self.name != NOT_APPLICABLE

    @property
    def is_fetched(self) -> bool:
        """Whether it was not in the cache before."""
        return self.origin == "fetched"

    @property
    def is_mapping(self) -> bool:
        """Whether it is part of the context itself."""
        return self.reference_type == "mapping"
