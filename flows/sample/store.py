"""The embedded sample: made on first use, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recovery import Recovery

UNUSED_FOR = 24 * 3600
"""Seconds after which a sample made by another recipe is removed. Until then it may be in
use: by another version of this package, in another process."""


@dataclass(frozen=True)
class Sample:
    """Where the files of the embedded sample are.

    Attributes
    ----------
    folder : holds everything; not to be written into
    crds_path : value for `CRDS_PATH`
    contexts : names of the CRDS contexts in it, the operational one first
    exposures : raw NIRCam exposures, ``*_uncal.fits``, for calwebb_detector1
    association : what calwebb_image3 combines
    others : exposures that only associations make something of: the same field in another
        filter, ``*_uncal.fits``, and two nods along the MIRI LRS slit, ``*_rate.fits``
    slit_exposure : MIRI LRS fixed-slit ``*_rate.fits``, for calwebb_spec2
    truth : what went into `exposures`, see `flows.sample.truth`
    """

    folder: Path
    crds_path: Path
    contexts: tuple[str, ...]
    exposures: tuple[Path, ...]
    association: Path
    others: tuple[Path, ...]
    slit_exposure: Path
    truth: Path

    def inputs(self, stage: int | None, products: Path) -> list[Path]:
        """List what there is to calibrate: all, or for one stage, made of it by the one before.

        Parameters
        ----------
        stage : {1, 2, 3} or None
        products : pathlib.Path
            Where stage 1 has put what stage 2 takes.
        """
        rates = [products / path.name.replace("_uncal", "_rate") for path in self.exposures]
        by_stage = {1: [*self.exposures], 2: rates, 3: [self.association]}
        return by_stage[stage] if stage else [*self.exposures, self.association]

    def recovery(self, products: Path) -> Recovery:
        """Compare what was made of `exposures`, and of nods if there are, with the truth."""
        from .recovery import Recovery, measure_recovery, measure_spectra

        found = measure_recovery(products, self.truth)
        return Recovery(found.measures | measure_spectra(products))


def ensure_sample() -> Sample:
    """Return the embedded sample, making it first if it is absent or its recipe has changed.

    Takes a few seconds the first time. Several processes may ask at once: one makes it,
    the others wait.

    Raises
    ------
    OSError
        If the cache folder cannot be written.
    """
    return _sample(kept("sample", Path(__file__).parent, _make))


def kept(name: str, sources: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder in the user's cache folder, making it first if it is absent or outdated.

    Parameters
    ----------
    name : of the sample
    sources : folder of the recipe: if it changes, the sample is made again
    make : makes the sample in a given folder
    """
    from platformdirs import user_cache_path

    from stpipe_prefect.locks import file_lock

    root = user_cache_path("stpipe_prefect") / name
    folder = root / _recipe(sources)
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with file_lock(root / "lock"):
            _remove_leftovers(root)
            if not folder.exists():
                building = Path(tempfile.mkdtemp(prefix="building-", dir=root))
                make(building)
                building.rename(folder)  # complete
    # A sample that came with a container image may belong to somebody else.
    with contextlib.suppress(PermissionError):
        os.utime(folder)
    return folder


def _recipe(sources: Path) -> str:
    """Identify the recipe by the sources it consists of."""
    digest = hashlib.sha256()
    for source in sorted(sources.rglob("*.py")):
        digest.update(source.relative_to(sources).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _make(folder: Path) -> None:
    from .crds_cache import make_crds_cache
    from .exposures import make_program
    from .nircam import OTHER_FILTER
    from .slit import make_nods, make_slit_exposure
    from .truth import Truth

    first = make_program(folder / "nircam")
    make_program(
        folder / "other",
        dithers=2,
        filter=OTHER_FILTER,
        first=len(first.exposures) + 1,
        field=Truth.load(first.truth).stars,
    )
    make_slit_exposure(folder / "miri")
    make_nods(folder / "nods")
    make_crds_cache(folder / "crds")


def _remove_leftovers(root: Path) -> None:
    """Remove what killed builds left half made, and samples nobody has used for long.

    Only the holder of the lock builds, so whatever is still being built was abandoned.
    """
    for folder in root.iterdir():
        abandoned = folder.name.startswith("building-")
        if folder.is_dir() and (abandoned or time.time() - folder.stat().st_mtime > UNUSED_FOR):
            shutil.rmtree(folder, ignore_errors=True)


def _sample(folder: Path) -> Sample:
    from .contexts import CONTEXTS
    from .exposures import ASSOCIATION, TRUTH
    from .slit import NAME

    nircam = folder / "nircam"
    return Sample(
        folder=folder,
        crds_path=folder / "crds",
        contexts=CONTEXTS,
        exposures=tuple(sorted(nircam.glob("*_uncal.fits"))),
        association=nircam / ASSOCIATION,
        others=(
            *sorted((folder / "other").glob("*_uncal.fits")),
            *sorted((folder / "nods").glob("*_rate.fits")),
        ),
        slit_exposure=folder / "miri" / f"{NAME}_rate.fits",
        truth=nircam / TRUTH,
    )
