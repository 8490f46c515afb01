"""A step asks for a reference file: the answer, and the note that the run takes of it.

A step asks through our own ``get_reference_file``, through stpipe's, or asks crds itself. All get
a file as a prefetch would: under the run's context, fetched if need be, its checksum compared; and
the run takes note of it, or of what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ..current import Current
from ..exceptions import NoReferenceFileError, ReferenceFileError, reason
from ..workarounds import crds_answers_replaced, crds_path
from .cache import prefetch, refuse_absent
from .context import resolve_context
from .reference import NOT_APPLICABLE, URI_SCHEME, ReferenceFile
from .selection import NotSelectedError, exposure_name, file_selected, select

Note = Callable[[ReferenceFile, Mapping[str, Any], ReferenceFile | Exception | None], None]
"""Called with what was asked for, what CRDS matched on, and the file, if any, or what was wrong."""

_noting: Current[Note] = Current("noted_lookups")


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
    where = {"observatory": observatory, "context": resolve_context(observatory)}
    try:
        files = select(crds_parameters, types, required=required, **where)
    except NotSelectedError as error:
        for file in select(crds_parameters, types, required=False, **where):
            if not file.applies:
                _note(file, crds_parameters, error)
        raise
    if files[1:]:  # of one alone the run is to note that it was asked for
        refuse_absent(files)
    return {file.reference_type: _obtained(file, crds_parameters) for file in files}


def fetched(uri: str, reference_type: str, observatory: str) -> str:
    """Find the reference of a ``crds://`` URI, fetching it if it is not in the cache."""
    name = uri.removeprefix(URI_SCHEME)
    context = resolve_context(observatory)
    return _obtained(ReferenceFile(name, reference_type, observatory, context), {})


def cache_path(uri: str, observatory: str) -> str:
    """Say where in the cache the reference of a ``crds://`` URI is."""
    if not uri.startswith(URI_SCHEME):
        raise ReferenceFileError(
            f"{uri!r} is not a CRDS reference: expected {URI_SCHEME}<file name>"
        )
    return str(crds_path(uri.removeprefix(URI_SCHEME), observatory))


def checked_file(path: str) -> str:
    """Make sure a reference file can be opened; ``"N/A"`` and nothing pass."""
    if path.strip() not in ("", NOT_APPLICABLE):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            kind = (
                NoReferenceFileError if isinstance(error, FileNotFoundError) else ReferenceFileError
            )
            raise kind(f"Reference file {path} cannot be read: {reason(error)}") from error
    return path


@contextmanager
def noted_lookups(note: Note) -> Iterator[None]:
    """Have `note` called with every reference file that is asked for within the block."""
    with crds_answers_replaced(_for_crds), _noting.set(note):
        yield


def quiet_about_parameter_files() -> AbstractContextManager[None]:
    """Have crds not log an error about steps that it has no parameter files for."""
    return crds_answers_replaced(_for_crds)


def _obtained(wanted: ReferenceFile, crds_parameters: Mapping[str, Any]) -> str:
    """Get a file into the cache, have the run note it, and give its path, or ``"N/A"``."""
    try:
        cached = prefetch(wanted) if wanted.applies else None
    except ReferenceFileError as error:
        _note(wanted, crds_parameters, error)
        raise
    _note(wanted, crds_parameters, cached)
    return str(cached.path) if cached else wanted.name


def _note(
    wanted: ReferenceFile,
    crds_parameters: Mapping[str, Any],
    answer: ReferenceFile | Exception | None,
) -> None:
    note = _noting.inferred()
    if note is not None:
        note(wanted, crds_parameters, answer)


def _for_crds(original: Any) -> Any:
    """Answer crds, and with it upstream's steps, as ours are answered."""
    from crds.core.exceptions import CrdsLookupError

    def cache_references(
        context: str, best: Mapping[str, str], ignore_cache: bool = False, parameters: Any = None
    ) -> Any:
        matched = parameters or {}
        about = (context.partition("_")[0], context, exposure_name(matched))
        names = {kind: file_selected(answer) for kind, answer in best.items()}
        unknown = {kind: best[kind] for kind, name in names.items() if not name}
        if unknown:
            try:
                if not all(kind.startswith("pars-") for kind in unknown):
                    original(context, unknown, ignore_cache, parameters)  # it says so, and logs it
                # A step of one's own has no parameter files: nothing to log as an error.
                raise CrdsLookupError(", ".join(f"{kind}: {unknown[kind]}" for kind in unknown))
            except Exception as error:
                for kind in unknown:
                    _note(ReferenceFile(NOT_APPLICABLE, kind, *about), matched, error)
                raise
        if _noting.inferred() is None:
            return original(context, best, ignore_cache, parameters)
        paths = {
            kind: _obtained(ReferenceFile(name, kind, *about), matched)
            for kind, name in names.items()
        }
        return paths | {kind: best[kind] for kind, path in paths.items() if path == NOT_APPLICABLE}

    return cache_references
