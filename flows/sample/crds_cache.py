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
    from collections.abc import Sequence
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
    return write_cache(folder, contexts.JWST, contexts.CONTEXTS, references)


def write_cache(
    folder: Path,
    observatory: contexts.Observatory,
    names: Sequence[str],
    references: Sequence[Reference],
) -> Path:
    """Write reference files and the contexts that choose among them.

    Parameters
    ----------
    folder : where; made if absent
    observatory : whose
    names : of the contexts, the operational one first; each knows one more edition
    references : all of them

    Returns
    -------
    `folder`
    """
    files = name_files(observatory.name, references)
    for name, reference in files.items():
        path = folder / "references" / observatory.name / reference.instrument / name
        path.parent.mkdir(parents=True, exist_ok=True)
        reference.write(path)
    mappings = folder / "mappings" / observatory.name
    mappings.mkdir(parents=True, exist_ok=True)
    for edition, context in enumerate(names, 1):
        contexts.write_context(observatory, mappings, context, edition, files)
    config = folder / "config" / observatory.name / "server_config"
    config.parent.mkdir(parents=True, exist_ok=True)
    description = {
        "observatory": observatory.name,
        "operational_context": names[0],
        "bad_files_list": [],
        "last_synced": CREATED,
        "force_remote_mode": False,
        "download_metadata": _catalogue(folder),
    }
    config.write_text(pprint.pformat(description) + "\n", encoding="utf-8")
    return folder


def _catalogue(folder: Path) -> dict[str, dict[str, str]]:
    """List size and checksum of every file, as a CRDS server does."""
    files = [*folder.glob("references/*/*/*"), *folder.glob("mappings/*/*")]
    return {
        path.name: {
            "size": str(path.stat().st_size),
            "sha1sum": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in sorted(files)
    }


def name_files(observatory: str, references: Sequence[Reference]) -> dict[str, Reference]:
    """Name reference files as CRDS does: observatory, instrument, type, serial number."""
    serials: Counter[str] = Counter()
    files = {}
    for reference in references:
        stem = f"{observatory}_{reference.instrument}_{reference.reftype}"
        serials[stem] += 1
        files[f"{stem}_{serials[stem]:04d}.{reference.extension}"] = reference
    return files
