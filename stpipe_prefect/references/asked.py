"""Reference files that are asked for while a run goes on, by whomever.

A step asks through our own ``get_reference_file``, through stpipe's, or asks crds itself. All get
a file as a prefetch would: under the run's context, fetched if need be, verified; and the run
takes note of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..current import Current
from ..exceptions import ReferenceFileError
from ..replaced import replaced
from .best import exposure_name, file_selected
from .cache import prefetch
from .reference import NOT_APPLICABLE, ReferenceFile

Note = Callable[[ReferenceFile, Mapping[str, Any], ReferenceFile | Exception | None], None]
"""Called with what was asked for, what CRDS matched on, and the file, if any, or what was wrong."""

_noting: Current[Note] = Current("asked_references")


def obtained(wanted: ReferenceFile, crds_parameters: Mapping[str, Any]) -> str:
    """Get a file into the cache, have the run note it, and give its path, or ``"N/A"``.

    Raises
    ------
    ReferenceFileError
        It is neither there nor can be fetched, or it is damaged.
    """
    note = _noting.inferred()
    try:
        cached = prefetch(wanted) if wanted.applies else None
    except ReferenceFileError as error:
        if note is not None:
            note(wanted, crds_parameters, error)
        raise
    if note is not None:
        note(wanted, crds_parameters, cached)
    return str(cached.path) if cached else wanted.name


def note_unselected(
    wanted: ReferenceFile, crds_parameters: Mapping[str, Any], error: Exception
) -> None:
    """Have the run note that CRDS has no file for what was asked."""
    note = _noting.inferred()
    if note is not None:
        note(wanted, crds_parameters, error)


@contextmanager
def asked_references(note: Note) -> Iterator[None]:
    """Have `note` called with every reference file that is asked for within the block."""
    from crds.client import api

    with replaced(api, "cache_references", _for_crds), _noting.set(note):
        yield


def _for_crds(original: Any) -> Any:
    """Answer crds, and with it upstream's steps, as ours are answered."""

    def cache_references(
        context: str, best: Mapping[str, str], ignore_cache: bool = False, parameters: Any = None
    ) -> Any:
        if _noting.inferred() is None:
            return original(context, best, ignore_cache, parameters)
        matched = parameters or {}
        about = (context.partition("_")[0], context, exposure_name(matched))
        names = {kind: file_selected(answer) for kind, answer in best.items()}
        unknown = {kind: best[kind] for kind, name in names.items() if not name}
        if unknown:
            try:
                original(context, unknown, ignore_cache, parameters)  # crds knows how to say so
            except Exception as error:
                for kind in unknown:
                    note_unselected(ReferenceFile(NOT_APPLICABLE, kind, *about), matched, error)
                raise
        paths = {
            kind: obtained(ReferenceFile(name, kind, *about), matched)
            for kind, name in names.items()
        }
        return paths | {kind: best[kind] for kind, path in paths.items() if path == NOT_APPLICABLE}

    return cache_references
