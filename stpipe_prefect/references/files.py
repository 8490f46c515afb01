"""The reference files themselves: where they are in the cache, and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..exceptions import NoReferenceFileError, ReferenceFileError, reason
from .asked import note_unselected, obtained
from .best import best_references, exposure_name
from .cache import refuse_absent
from .context import resolve_context
from .reference import NOT_APPLICABLE, URI_SCHEME, ReferenceFile


def reference_files(
    crds_parameters: Mapping[str, Any],
    reference_types: Iterable[str],
    observatory: str,
    *,
    required: bool = True,
) -> dict[str, str]:
    """Find the reference files that suit an exposure under the context in use.

    Parameters
    ----------
    crds_parameters : mapping
        What CRDS matches on, as a data model's ``get_crds_parameters()`` gives.
    reference_types : iterable of str
        Types such as ``"flat"``.
    observatory : str
        ``"jwst"`` or ``"roman"``.
    required : bool
        Whether the context must have a rule for every type; if not, a type without one does
        not apply.

    Returns
    -------
    dict of str to str
        For each type the path in the cache, or ``"N/A"`` where none applies.

    Raises
    ------
    ReferenceFileError
        A type is not selected, or its file is neither in the cache nor can be fetched.
    """
    types = set(reference_types)
    if not types:
        return {}
    from .unselected import ReferenceNotSelectedError

    context = resolve_context(observatory)
    about = (observatory, context, exposure_name(crds_parameters))
    where = {"observatory": observatory, "context": context}
    try:
        names = best_references(crds_parameters, types, required=required, **where)
    except ReferenceNotSelectedError as error:
        for kind, name in best_references(crds_parameters, types, required=False, **where).items():
            if name == NOT_APPLICABLE:
                note_unselected(ReferenceFile(name, kind, *about), crds_parameters, error)
        raise
    files = [ReferenceFile(name, kind, *about) for kind, name in names.items()]
    if files[1:]:  # of one alone the run is to note that it was asked for
        refuse_absent(files)
    return {file.reference_type: obtained(file, crds_parameters) for file in files}


def checked_file(path: str) -> str:
    """Make sure a reference file can be opened; ``"N/A"`` and nothing pass.

    Raises
    ------
    ReferenceFileError
        It cannot.
    """
    if path.strip() not in ("", NOT_APPLICABLE):
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            kind = (
                NoReferenceFileError if isinstance(error, FileNotFoundError) else ReferenceFileError
            )
            raise kind(f"Reference file {path} cannot be read: {reason(error)}") from error
    return path


def fetched(uri: str, reference_type: str, observatory: str) -> str:
    """Find the reference of a ``crds://`` URI, fetching it if it is not in the cache.

    Raises
    ------
    ReferenceFileError
        It is neither in the cache nor can be fetched.
    """
    name = uri.removeprefix(URI_SCHEME)
    context = resolve_context(observatory)
    return obtained(ReferenceFile(name, reference_type, observatory, context), {})


def cache_path(uri: str, observatory: str) -> str:
    """Say where in the cache the reference of a ``crds://`` URI is.

    Raises
    ------
    ReferenceFileError
        It is another kind of URI.
    """
    import crds

    if not uri.startswith(URI_SCHEME):
        raise ReferenceFileError(
            f"{uri!r} is not a CRDS reference: expected {URI_SCHEME}<file name>"
        )
    return str(crds.locate_file(uri.removeprefix(URI_SCHEME), observatory))
