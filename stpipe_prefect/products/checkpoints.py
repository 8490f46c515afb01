"""Checkpoints: models kept after steps of a pipeline, from which another run can go on.

Each is a folder of its own in the user's cache: the models in their own file format and, written
last, ``checkpoint.json``. What has no such file, or does not agree with it, is none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fingerprint import sha256_of
from .lock import LOCK, locked_folder, remove_abandoned
from .names import folder_path
from .staging import synced

FOLDER_VARIABLE = "STPIPE_PREFECT_CHECKPOINTS"
LIMIT = 20_000_000_000
"""Bytes that all checkpoints together may take; the oldest go first."""

_RECORD = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """What one step of one run made.

    Attributes
    ----------
    folder : pathlib.Path
    run : str
        Name of the run.
    steps : tuple of str
        All steps that were called up to here, in order.
    fingerprint : str
        Of all that decided about what they made.
    files : tuple of dict
        ``name``, ``sha256`` and ``filename``, as it stands in the model's metadata; `None` in
        place of a model that was not made.
    is_sequence : bool
        Whether the step returned several.
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
    for record in checkpoint_folder().glob(f"*/{_RECORD}"):
        try:
            content = json.loads(record.read_text())
            found.append(
                (
                    record.stat().st_mtime_ns,
                    Checkpoint(
                        record.parent,
                        content["run"],
                        tuple(content["steps"]),
                        content["fingerprint"],
                        tuple(content["files"]),
                        content["is_sequence"],
                    ),
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [checkpoint for _, checkpoint in sorted(found, key=lambda pair: -pair[0])]


def keep(run: str, steps: Sequence[str], fingerprint: str, result: Any, ext: str) -> None:
    """Keep what a step returned: a data model, or several.

    Parameters
    ----------
    run : str
        Name of the run.
    steps : sequence of str
        All steps called so far; the last one made `result`.
    fingerprint : str
    result : data model, or list or tuple of data models and None
    ext : str
        File type.
    """
    root = checkpoint_folder()
    root.mkdir(parents=True, exist_ok=True)
    place = root / fingerprint[:32]
    if (place / _RECORD).exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    unfinished = root / f".{place.name}"
    with locked_folder(unfinished, f"the checkpoint of {run} after {steps[-1]}"):
        try:
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
            (unfinished / _RECORD).write_text(json.dumps(record, indent=1))
            synced(unfinished / _RECORD)
            (unfinished / LOCK).unlink()
            unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    _make_room()


def clear() -> int:
    """Remove all checkpoints, and what was left of unfinished ones; say how many bytes."""
    root = checkpoint_folder()
    size = sum(checkpoint.size for checkpoint in checkpoints())
    shutil.rmtree(root, ignore_errors=True)
    return size


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
    for unfinished in checkpoint_folder().glob(".*"):
        remove_abandoned(unfinished)
    mine = [checkpoint for checkpoint in checkpoints() if checkpoint.run == run]
    yield from sorted(mine, key=lambda checkpoint: -len(checkpoint.steps))
