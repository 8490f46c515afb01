"""What was put into the program: the answers against which its products are measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .sky import Star

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class CosmicRay:
    """Charge that one cosmic ray leaves in one pixel; all indices are 0-based.

    The charge arrives after group ``group - 1`` and before ``group`` is read.
    """

    integration: int
    group: int
    y: int
    x: int
    electrons: float


@dataclass(frozen=True)
class ExposureTruth:
    """What happened to the detector during one exposure.

    Attributes
    ----------
    name : exposure name without suffix, as in ``jw01234001001_02101_00001_nrcb1``
    cosmic_rays : every cosmic ray that hit
    saturated : (y, x) of every pixel that reached its full well in some integration
    """

    name: str
    cosmic_rays: tuple[CosmicRay, ...]
    saturated: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Truth:
    """The stars of the field, and what happened in each exposure."""

    stars: tuple[Star, ...]
    exposures: tuple[ExposureTruth, ...]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        tree = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            stars=tuple(Star(**star) for star in tree["stars"]),
            exposures=tuple(
                ExposureTruth(
                    name=exposure["name"],
                    cosmic_rays=tuple(CosmicRay(**hit) for hit in exposure["cosmic_rays"]),
                    saturated=tuple((y, x) for y, x in exposure["saturated"]),
                )
                for exposure in tree["exposures"]
            ),
        )
