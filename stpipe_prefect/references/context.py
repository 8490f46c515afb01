"""The CRDS context: which version of the rules selects reference files.

A run resolves its context once and keeps it, whatever the server declares meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..exceptions import ContextError, reason

CONTEXT_VARIABLE = "CRDS_CONTEXT"


def is_serverless(observatory: str) -> bool:
    """Tell whether the crds client is configured never to contact a server."""
    from crds.client import api

    return "serverless" in api.get_crds_server(observatory)


def resolve_context(observatory: str, context: str | None = None) -> str:
    """Name the context a run is to use, and make sure its mappings can be read.

    Parameters
    ----------
    observatory : str
        ``"jwst"`` or ``"roman"``.
    context : str, optional
        A context such as ``"jwst_1303.pmap"``. If not given, ``CRDS_CONTEXT``, else what the
        CRDS server or the cache declares operational.

    Returns
    -------
    str
        File name of the context's ``.pmap``.

    Raises
    ------
    ContextError
        There is no cache, or no such context.
    """
    if "CRDS_PATH" not in os.environ and is_serverless(observatory):
        raise ContextError(
            "CRDS_PATH is not set: point it at a CRDS cache folder, "
            "and CRDS_SERVER_URL at a CRDS server to fill it"
        )
    name = context or _default_context(observatory)
    _load_mappings(observatory, name)
    return name


@contextmanager
def pinned_context(observatory: str, context: str | None = None) -> Iterator[str]:
    """Use one context for everything that asks CRDS within the block.

    The name goes into the environment, where the crds client and child processes find it; the
    client's memory of an earlier context is dropped on the way in and out.

    Yields
    ------
    str
        The context, as `resolve_context` names it.

    Raises
    ------
    ContextError
        There is no cache, or no such context.
    """
    from crds.core import utils

    before = os.environ.get(CONTEXT_VARIABLE)
    utils.clear_function_caches()
    try:
        name = resolve_context(observatory, context)
        os.environ[CONTEXT_VARIABLE] = name
        utils.clear_function_caches()
        yield name
    finally:
        if before is None:
            os.environ.pop(CONTEXT_VARIABLE, None)
        else:
            os.environ[CONTEXT_VARIABLE] = before
        utils.clear_function_caches()


@contextmanager
def crds_console_off() -> Iterator[None]:
    """Keep crds from printing, within the block, what its log records say as well."""
    from crds.core import log

    printing = log.THE_LOGGER.console is not None
    if printing:
        log.remove_console_handler()
    try:
        yield
    finally:
        if printing:
            log.add_console_handler()


def _default_context(observatory: str) -> str:
    import crds

    try:
        with crds_console_off():
            return str(crds.get_context_name(observatory))
    # crds leaves the interpreter when it finds no configuration
    except (Exception, SystemExit) as error:
        raise ContextError(
            f"No CRDS context for {observatory} in {_cache_folder()}: expected "
            f"config/{observatory}/server_config there, or a CRDS server in CRDS_SERVER_URL"
        ) from error


def _load_mappings(observatory: str, name: str) -> None:
    from crds.client import api
    from crds.core import config, rmap

    if not config.is_mapping(name):
        raise ContextError(f"{name!r} is not a context: expected a name such as jwst_1303.pmap")
    try:
        present = Path(config.locate_mapping(name)).is_file()
        if not present and is_serverless(observatory):
            known = sorted(rmap.list_mappings("*.pmap", observatory))
            raise ContextError(
                f"Context {name} is not in the CRDS cache {_cache_folder()}; "
                f"it holds {', '.join(known) or 'none'}"
            )
        with crds_console_off():
            if not present:
                api.dump_mappings(name)
            rmap.get_cached_mapping(name)
    except ContextError:
        raise
    except (Exception, SystemExit) as error:
        raise ContextError(
            f"Context {name} cannot be loaded from {_cache_folder()}: {reason(error)}"
        ) from error


def _cache_folder() -> str:
    from crds.core import config

    return str(config.get_crds_path())
