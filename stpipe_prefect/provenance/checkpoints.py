"""Checkpoints: models kept after steps of a pipeline, from which another run can go on.

Each is a folder of its own in the user's cache: the models in their own file format and, written
last, ``checkpoint.json``. What has no such file, does not agree with it, or belongs to another
user, is none: who may put models there decides about products.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..products.names import folder_path
from ..products.staging import synced
from ..products.unfinished import MARK, is_own_folder, remove_leftovers, unfinished_folder
from .fingerprint import fingerprint as fingerprint_of
from .fingerprint import sha256_of

FOLDER_VARIABLE = "STPIPE_PREFECT_CHECKPOINTS"
LIMIT = 20_000_000_000
"""Bytes that all checkpoints together may take; the oldest go first."""

BEFORE = "before "
"""Put ahead of the name of a step where a checkpoint is wanted of what it takes."""

_RECORD = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """What one step of one run made.

    Its steps are all that were called up to here, in order. Each file has a ``name``, ``sha256``
    and ``filename``, as it stands in the model's metadata; None stands for a model that was not
    made.
    """

    folder: Path
    run: str
    steps: tuple[str, ...]
    fingerprint: str
    files: tuple[dict[str, Any] | None, ...]
    is_sequence: bool

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    @property
    def is_whole(self) -> bool:
        """Whether its files are as they were written."""
        try:
            return all(
                sha256_of(self.folder / file["name"]) == file["sha256"]
                for file in self.files
                if file is not None
            )
        except OSError:
            return False


def checkpoint_folder() -> Path:
    """Say where checkpoints are kept: in ``STPIPE_PREFECT_CHECKPOINTS``, or the user's cache."""
    from platformdirs import user_cache_path

    named = os.environ.get(FOLDER_VARIABLE)
    return folder_path(named) if named else user_cache_path("stpipe_prefect") / "checkpoints"


def checkpoints() -> list[Checkpoint]:
    """List all there are, the newest first."""
    found = []
    for record in _records():
        try:
            found.append((record.stat().st_mtime_ns, _read(record)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue  # damaged
    return [checkpoint for _, checkpoint in sorted(found, key=lambda pair: -pair[0])]


def keep(run: str, steps: Sequence[str], fingerprint: str, result: Any, ext: str) -> None:
    """Keep what the last of some steps returned: a data model, or a list or tuple of them."""
    root = checkpoint_folder()
    root.mkdir(parents=True, exist_ok=True)
    place = root / fingerprint[:32]
    if any(checkpoint.folder == place for checkpoint in checkpoints()):
        return
    what = f"the checkpoint of {run} after {steps[-1]}"
    instead = f"set {FOLDER_VARIABLE} to another folder"
    with unfinished_folder(root, place.name, what, instead) as unfinished:
        several = isinstance(result, (list, tuple))
        files = [
            None if model is None else _save(model, unfinished / f"{number}{ext}")
            for number, model in enumerate(result if several else [result])
        ]
        record = {
            "run": run,
            "steps": list(steps),
            "fingerprint": fingerprint,
            "files": files,
            "is_sequence": several,
        }
        record["checksum"] = fingerprint_of(record)
        (unfinished / _RECORD).write_text(json.dumps(record, indent=1))
        synced(unfinished / _RECORD)
        (unfinished / MARK).unlink()
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        unfinished.rename(place)
    _make_room()


def clear() -> int:
    """Remove all checkpoints, and what was left of unfinished ones; say how many bytes."""
    folders = [record.parent for record in _records()]
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    remove_leftovers(checkpoint_folder())
    return size


def _records() -> list[Path]:
    """List the records of this user's checkpoints, damaged ones too."""
    found = checkpoint_folder().glob(f"[!.]*/{_RECORD}")
    return [record for record in found if is_own_folder(record.parent)]


def _read(record: Path) -> Checkpoint:
    """Read a ``checkpoint.json``; whatever error there is says that it is damaged."""
    content = json.loads(record.read_text())
    if content.pop("checksum") != fingerprint_of(content):
        raise ValueError
    return Checkpoint(
        record.parent,
        content["run"],
        tuple(content["steps"]),
        content["fingerprint"],
        tuple(content["files"]),
        content["is_sequence"],
    )


def _save(model: Any, path: Path) -> dict[str, Any]:
    filename = model.meta.filename
    try:
        model.save(str(path))
    finally:
        model.meta.filename = filename  # saving gives it that of the file
    synced(path)
    return {"name": path.name, "sha256": sha256_of(path), "filename": filename}


def _make_room() -> None:
    kept = 0
    for checkpoint in checkpoints():
        kept += checkpoint.size
        if kept > LIMIT:
            shutil.rmtree(checkpoint.folder, ignore_errors=True)


def usable(run: str) -> Iterator[Checkpoint]:
    """Go through the checkpoints of a run, those furthest along first.

    What runs left that were killed while they wrote one is removed.
    """
    remove_leftovers(checkpoint_folder())
    mine = [checkpoint for checkpoint in checkpoints() if checkpoint.run == run]
    yield from sorted(mine, key=lambda checkpoint: -len(checkpoint.steps))
