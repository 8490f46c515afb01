"""The embedded sample of Roman: made on first use, kept in the user's cache folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.sample.store import kept

if TYPE_CHECKING:
    from flows.sample.recovery import Recovery


@dataclass(frozen=True)
class Sample:
    """Where the files of the embedded sample are.

    Attributes
    ----------
    folder : holds everything; not to be written into
    """

    folder: Path

    @property
    def crds_path(self) -> Path:
        """Value for ``CRDS_PATH``."""
        return self.folder / "crds"

    @property
    def exposures(self) -> list[Path]:
        """Raw exposures, for roman_elp."""
        return sorted((self.folder / "wfi").glob("*_uncal.asdf"))

    @property
    def association(self) -> Path:
        """What roman_mos combines."""
        from .exposures import ASSOCIATION

        return self.folder / "wfi" / ASSOCIATION

    @property
    def truth(self) -> Path:
        """What went into `exposures`, see `flows.sample.truth`."""
        from .exposures import TRUTH

        return self.folder / "wfi" / TRUTH

    @property
    def others(self) -> tuple[Path, ...]:
        """Exposures that only associations make something of: none."""
        return ()

    def inputs(self, stage: int | None, products: Path) -> list[Path]:
        """List what there is to calibrate."""
        return [*self.exposures, self.association]

    def recovery(self, products: Path) -> Recovery:
        """Compare what was made of `exposures` with `truth`."""
        from .recovery import measure_recovery

        return measure_recovery(products, self.truth)


def ensure_sample() -> Sample:
    """Return the embedded sample, making it first; see `flows.sample.store.kept`."""
    return Sample(kept("roman_sample", Path(__file__).parent, _make))


def _make(folder: Path) -> None:
    from .exposures import make_program
    from .references import make_crds_cache

    make_program(folder / "wfi")
    make_crds_cache(folder / "crds")
