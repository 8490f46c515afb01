"""The mappings of a context: the rules that select reference files, in files of their own.

A context names one mapping for each instrument, which names one for each reference type.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..exceptions import ContextError, ReferenceFileError
from .catalogue import Catalogue
from .patience import Patience
from .prefetch import prefetch_all
from .reference import ReferenceFile
from .server import configured_server

AT_A_TIME = 8


def prefetch_mappings(observatory: str, context: str) -> None:
    """Make sure that all mappings of a context are in the cache, and what they have to be.

    Done once for each cache; later, crds itself notices a mapping that is damaged, by the
    checksum it carries.

    Raises
    ------
    ContextError
        There is no such context, or it cannot be completed.
    """
    from crds.core import config

    _prefetch(observatory, context, str(config.get_crds_path()))


@lru_cache(maxsize=64)
def _prefetch(observatory: str, context: str, cache: str) -> None:
    try:
        catalogue = Catalogue(observatory)
        server = configured_server()
        if server is not None and catalogue.flaw():
            catalogue.refresh(server, Patience())  # the crds client does nothing without it
        names = [context]
        while names:
            wanted = [ReferenceFile(name, "mapping", observatory, context) for name in names]
            found = []
            for mapping in prefetch_all(wanted, AT_A_TIME):
                if isinstance(mapping, ReferenceFileError):
                    raise mapping
                found.append(mapping.path)
            names = [name for path in found for name in _named_in(path)]
    except ReferenceFileError as error:
        raise ContextError(f"Context {context} cannot be used: {error}") from error


def _named_in(path: Path) -> list[str]:
    """Read which further mappings a mapping names."""
    if path.suffix == ".rmap":
        return []
    try:
        selector: Any = next(
            ast.literal_eval(part.value)
            for part in ast.parse(path.read_text()).body
            if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "selector"
        )
        names = selector.values()
    except (OSError, ValueError, SyntaxError, StopIteration, AttributeError):
        return []  # damaged: crds says so, and what is wrong
    return [name for name in names if isinstance(name, str) and name.endswith((".imap", ".rmap"))]
