"""Products are made in a folder beside their place and moved there when the run is done.

A run that fails, or is killed, leaves nothing half under a product's name, and what a run made
is known without asking any step. Each run has a folder of its own, see `unfinished`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..exceptions import OutputError
from ..paths import printable, unrecordable
from .unfinished import MARK, is_abandoned, unfinished_folder


class Staging:
    """Where a run writes, and afterwards what it made.

    Attributes
    ----------
    folder : pathlib.Path
        The folder to write into while the run lasts.
    products : list of pathlib.Path
        The products under their final names, sorted; empty until they are published.
    is_published : bool
    """

    def __init__(self, output_dir: Path, name: str, held: ExitStack) -> None:
        self._name = name
        self._held = held
        self._folders: dict[Path, tuple[Path, Path]] = {}
        self.products: list[Path] = []
        self.is_published = False
        self.folder = self.folder_for(output_dir)

    def folder_for(self, output_dir: Path) -> Path:
        """Give the folder to write into what is to appear in `output_dir`."""
        place = output_dir.resolve()
        if place not in self._folders:
            what = f"{self._name} in {output_dir}"
            try:
                output_dir.mkdir(parents=True, exist_ok=True)
                folder = self._held.enter_context(
                    unfinished_folder(output_dir, self._name, what, "choose another output folder")
                )
            except OutputError:
                raise
            except OSError as error:
                raise _unwritable(output_dir, error) from error
            self._folders[place] = (folder, output_dir)
        return self._folders[place][0]

    def places(self) -> list[Path]:
        """List where everything will be that is there so far."""
        return [*self._made().values()]

    def _made(self) -> dict[Path, Path]:
        return {
            path: place / path.relative_to(folder)
            for folder, place in self._folders.values()
            for path in folder.rglob("*")
            if path.is_file() and path != folder / MARK
        }

    def publish(self, obsolete: Collection[Path] = (), extra: Collection[Path] = ()) -> list[Path]:
        """Move everything to its name: first all is on the disk, then all is renamed.

        `obsolete` files are gone before the first product takes the place of another; `extra`
        ones go along and are no products. If a name is taken by a folder, nothing is moved.
        """
        made = self._made()
        for place in (*made.values(), *obsolete):
            if place.is_dir() and not place.is_symlink():
                raise OutputError(
                    f"{place} is a folder, but the run writes a file of that name: "
                    "move the folder away"
                )
        for place in made.values():
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unwritable(place.parent, error) from error
        for path in made:
            synced(path)
        for path in obsolete:
            path.unlink(missing_ok=True)
        for path, place in made.items():
            path.replace(place)
        for parent in {place.parent for place in made.values()}:
            synced(parent)
        self.products = sorted(place for path, place in made.items() if path not in extra)
        self.is_published = True
        return self.products


@contextmanager
def staged_products(output_dir: Path, name: str, *, needed: int = 0) -> Iterator[Staging]:
    """Collect products in a temporary folder; publish all of them if the block succeeds.

    What a run of the same name left there when it was killed is removed, and so is what runs of
    other names left whose process is gone.

    Parameters
    ----------
    output_dir : pathlib.Path
        Folder for the products; made if it does not exist.
    name : str
        Of the run: two of the same name into the same folder are not let in together.
    needed : int
        Bytes that must be free there before the run starts.

    Yields
    ------
    Staging

    Raises
    ------
    OutputError
        The folder cannot be made or written to, has too little room, or another run is at it.
    """
    check_output_dir(output_dir, needed)
    with ExitStack() as held:
        staging = Staging(output_dir, name, held)
        yield staging
        if not staging.is_published:
            staging.publish()


def was_interrupted(output_dir: Path, name: str) -> bool:
    """Tell whether a run of that name was killed, and none is going on now."""
    return is_abandoned(output_dir, name)


def check_output_dir(output_dir: Path, needed: int = 0) -> None:
    """Make sure products can be written, before any time is spent on them."""
    if problem := unrecordable(output_dir):
        raise OutputError(f"Output folder {printable(output_dir)}: {problem}: choose another")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(output_dir).free
        Path(tempfile.mkdtemp(prefix=".writable-", dir=output_dir)).rmdir()
    except OSError as error:
        raise _unwritable(output_dir, error) from error
    if free < needed:
        raise OutputError(
            f"Output folder {output_dir} has {free / 1e6:.0f} MB free, "
            f"the products need about {needed / 1e6:.0f} MB: make room or choose another"
        )


def synced(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(output_dir: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Output folder {output_dir} cannot be written to: {error.strerror or error}"
    )
