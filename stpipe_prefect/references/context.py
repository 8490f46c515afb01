"""The CRDS context: which version of the rules selects reference files.

A run resolves its context once and keeps it, whatever the server declares meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from ..exceptions import ContextError, CrdsServerError, reason
from ..logs import crds_console_off
from .client import client_offline
from .mappings import prefetch_mappings
from .patience import Patience
from .server import CrdsServer, ServiceRefusedError, configured_server

CONTEXT_VARIABLE = "CRDS_CONTEXT"


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
    from crds.core import config

    if "CRDS_PATH" not in os.environ and not Path(config.get_crds_cfgpath(observatory)).is_dir():
        raise ContextError(
            "CRDS_PATH is not set: point it at a CRDS cache folder, "
            "and CRDS_SERVER_URL at a CRDS server to fill it"
        )
    name = context or _default_context(observatory)
    if not config.is_mapping(name):
        raise ContextError(f"{name!r} is not a context: expected a name such as jwst_1303.pmap")
    if configured_server() is not None:
        prefetch_mappings(observatory, name)
    with client_offline(observatory):
        _load_mappings(observatory, name)
    return name


@contextmanager
def pinned_context(observatory: str, context: str | None = None) -> Iterator[str]:
    """Use one context for everything that asks CRDS within the block.

    The name goes into the environment, where the crds client and child processes find it; the
    client's memory of an earlier context is dropped on the way in and out. Within the block the
    client works with what is in the cache, and contacts no server.

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
    _context_of_server.cache_clear()
    try:
        name = resolve_context(observatory, context)
        os.environ[CONTEXT_VARIABLE] = name
        utils.clear_function_caches()
        with client_offline(observatory):
            yield name
    finally:
        if before is None:
            os.environ.pop(CONTEXT_VARIABLE, None)
        else:
            os.environ[CONTEXT_VARIABLE] = before
        utils.clear_function_caches()


def _default_context(observatory: str) -> str:
    from crds.core import config

    wanted = os.environ.get(CONTEXT_VARIABLE, "")
    if config.is_mapping(wanted):
        return wanted
    server = configured_server()
    if server is not None:
        return _context_of_server(server.url, observatory, wanted)
    import crds

    try:
        with crds_console_off(), client_offline(observatory):
            return str(crds.get_context_name(observatory))
    # crds leaves the interpreter when it finds no configuration
    except (Exception, SystemExit) as error:
        raise ContextError(
            f"No CRDS context for {observatory} in {_cache_folder()}: expected "
            f"config/{observatory}/server_config there, or a CRDS server in CRDS_SERVER_URL"
        ) from error


@lru_cache(maxsize=8)
def _context_of_server(url: str, observatory: str, wanted: str) -> str:
    """Ask the server which context is meant; for jwst, as crds does, the one of the software."""
    from crds.client import api

    server = CrdsServer(url)
    patience = Patience()
    name = wanted.removeprefix(f"{observatory}-")
    try:
        if name in ("", "build") and (name == "build" or observatory == "jwst"):
            with crds_console_off():
                version = api.get_cal_version(observatory)
            if version and version != "dev":
                with suppress(ServiceRefusedError):
                    method = "get_build_context"
                    return str(server.call(method, observatory, version, patience=patience))
            name = "edit" if version == "dev" else "latest"
        if name not in ("", "latest", "edit", "operational"):
            return str(server.call("get_context_by_date", wanted, observatory, patience=patience))
        state = "edit" if name == "edit" else "latest"
        return str(server.call("get_default_context", observatory, state, patience=patience))
    except CrdsServerError as error:
        raise ContextError(
            f"No CRDS context for {observatory}: {error}; or name a context that is in the cache"
        ) from error


def _load_mappings(observatory: str, name: str) -> None:
    from crds.core import config, rmap

    try:
        if not Path(config.locate_mapping(name)).is_file():
            known = sorted(rmap.list_mappings("*.pmap", observatory))
            raise ContextError(
                f"Context {name} is not in the CRDS cache {_cache_folder()}; "
                f"it holds {', '.join(known) or 'none'}"
            )
        with crds_console_off():
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
