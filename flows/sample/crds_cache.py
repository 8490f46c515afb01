"""A miniature CRDS cache: reference files, and two contexts that choose among them.

An environment in which `CRDS_PATH` names such a folder, and `CRDS_SERVER_URL` nothing,
is all that the pipelines need to run without a network.
"""

from __future__ import annotations

import hashlib
import pprint
from collections import Counter
from typing import TYPE_CHECKING

from . import contexts
from .files import CREATED
from .references import fgs, miri, nircam, parameters

if TYPE_CHECKING:
    from pathlib import Path

    from .references.reference import Reference


def make_crds_cache(folder: Path, *, size: int = 320, groups: int = 6) -> Path:
    """Make a cache that calibrates what this package simulates.

    Parameters
    ----------
    folder : where; made if absent
    size : pixels along one side of the NIRCam exposures
    groups : at most so many in one NIRCam integration

    Returns
    -------
    `folder`, the value for `CRDS_PATH`.
    """
    references = [
        *nircam.references(size, groups),
        *miri.references(),
        *fgs.references(),
        *parameters.references(),
    ]
    files = name_files(references)
    for name, reference in files.items():
        path = folder / "references" / "jwst" / reference.instrument / name
        path.parent.mkdir(parents=True, exist_ok=True)
        reference.write(path)
    mappings = folder / "mappings" / "jwst"
    mappings.mkdir(parents=True, exist_ok=True)
    for edition, context in enumerate(contexts.CONTEXTS, 1):
        contexts.write_context(mappings, context, edition, files)
    config = folder / "config" / "jwst" / "server_config"
    config.parent.mkdir(parents=True, exist_ok=True)
    description = _SERVER_CONFIG | {"download_metadata": _catalogue(folder)}
    config.write_text(pprint.pformat(description) + "\n", encoding="utf-8")
    return folder


_SERVER_CONFIG = {
    "observatory": "jwst",
    "operational_context": contexts.CONTEXTS[0],
    "bad_files_list": [],
    "last_synced": CREATED,
    "force_remote_mode": False,
}


def _catalogue(folder: Path) -> dict[str, dict[str, str]]:
    """List size and checksum of every file, as a CRDS server does."""
    files = [*folder.glob("references/jwst/*/*"), *folder.glob("mappings/jwst/*")]
    return {
        path.name: {
            "size": str(path.stat().st_size),
            "sha1sum": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in sorted(files)
    }


def name_files(references: list[Reference]) -> dict[str, Reference]:
    """Name reference files as CRDS does: observatory, instrument, type, serial number."""
    serials: Counter[str] = Counter()
    files = {}
    for reference in references:
        stem = f"jwst_{reference.instrument}_{reference.reftype}"
        serials[stem] += 1
        files[f"{stem}_{serials[stem]:04d}.{reference.extension}"] = reference
    return files
