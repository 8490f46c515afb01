"""Products are made in a folder beside their place and moved there when the run is done.

A run that fails leaves nothing under a product's name, and what a run made is known without
asking any step.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import OutputError

STAGING_PREFIX = ".unfinished-"


@dataclass
class Staging:
    """Where a run writes, and afterwards what it made.

    Attributes
    ----------
    folder : pathlib.Path
        The folder to write into while the run lasts.
    products : list of pathlib.Path
        The products under their final names, sorted; empty until the run is done.
    """

    folder: Path
    products: list[Path] = field(default_factory=list)


@contextmanager
def staged_products(output_dir: Path, *, needed: int = 0) -> Iterator[Staging]:
    """Collect products in a temporary folder; publish all of them if the block succeeds.

    Parameters
    ----------
    output_dir : pathlib.Path
        Folder for the products; made if it does not exist.
    needed : int
        Bytes that must be free there before the run starts.

    Yields
    ------
    Staging

    Raises
    ------
    OutputError
        The folder cannot be made or written to, or has too little room.
    """
    staging = Staging(_make_folder(output_dir, needed))
    try:
        yield staging
        for product in sorted(staging.folder.rglob("*")):
            if product.is_file():
                place = output_dir / product.relative_to(staging.folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                product.replace(place)
                staging.products.append(place)
    finally:
        shutil.rmtree(staging.folder, ignore_errors=True)


def check_output_dir(output_dir: Path, needed: int = 0) -> None:
    """Make sure products can be written, before any time is spent on them.

    Raises
    ------
    OutputError
        The folder cannot be made or written to, or has too little room.
    """
    _make_folder(output_dir, needed).rmdir()


def _make_folder(output_dir: Path, needed: int) -> Path:
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(output_dir).free
        if free < needed:
            raise OutputError(
                f"Output folder {output_dir} has {free / 1e6:.0f} MB free, "
                f"the products need about {needed / 1e6:.0f} MB: make room or choose another"
            )
        return Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=output_dir))
    except OSError as error:
        raise OutputError(
            f"Output folder {output_dir} cannot be written to: {error.strerror or error}"
        ) from error
