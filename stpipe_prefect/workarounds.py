"""What reaches into parts of other packages that these do not document, each with its reason.

All of it holds for crds 14 and asdf 5. Where a part that is replaced is gone, the log says once
what is lost with it. What concerns Prefect is in `stpipe_prefect.orchestration.workarounds`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

_lock = threading.Lock()
_originals: dict[tuple[int, str], tuple[Any, int]] = {}

_offline = threading.Lock()
_depth = 0
_before: tuple[str, Any] = ("", None)

_NO_SERVER = "https://crds-serverless-mode.stsci.edu"

_FOLDERS = 20
"""How often crds may find that another process has just made a folder it was about to make."""
_locating = threading.Lock()


@cache
def say_missing(package: str, part: str, lost: str) -> None:
    """Say once in the log that a part of another package is gone, and what is lost with it."""
    logging.getLogger(__name__).warning(
        "%s %s has no %s any more: %s", package, version(package), part, lost
    )


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a member of a module or class within the block; `make` is given the original.

    Of blocks that overlap, the last one puts the original back. The replacement has to leave
    alone what is not of its run.
    """
    key = (id(owner), name)
    with _lock:
        original, users = _originals.get(key, (vars(owner)[name], 0))
        if not users:
            setattr(owner, name, make(original))
        _originals[key] = (original, users + 1)
    try:
        yield
    finally:
        with _lock:
            original, users = _originals.pop(key)
            if users > 1:
                _originals[key] = (original, users - 1)
            else:
                setattr(owner, name, original)


def crds_answers_replaced(make: Callable[[Any], Any]) -> AbstractContextManager[None]:
    """Replace, within the block, what brings into the cache the files that crds has selected.

    Upstream's steps ask crds, not us, and the crds client fetches files where two processes can
    read what the other has half written (https://github.com/spacetelescope/crds/pull/1228).
    """
    from crds.client import api

    if not hasattr(api, "cache_references"):
        lost = "reference files that steps ask crds for are neither recorded nor fetched"
        say_missing("crds", "client.api.cache_references", lost)
        return nullcontext()
    return replaced(api, "cache_references", make)


@contextmanager
def client_offline(observatory: str) -> Iterator[None]:
    """Keep the crds client itself from contacting any server within the block.

    It decides for itself when to ask, and waits an hour
    (https://github.com/spacetelescope/jwst/issues/1301); it then works with what is in the cache,
    which `references.cache` fills. The client has no way to say which server it had, so that it
    is put back through its two variables.
    """
    global _depth, _before
    from crds.client import api

    with _offline:
        if _depth == 0:
            if not {"URL", "S"} <= vars(api).keys():
                say_missing("crds", "client.api.URL and S", "its server is not put back")
            _before = getattr(api, "URL", ""), getattr(api, "S", None)
            api.set_crds_server(f"https://{observatory}-serverless.stsci.edu")
        _depth += 1
    try:
        yield
    finally:
        with _offline:
            _depth -= 1
            if _depth == 0:
                api.URL, api.S = _before


@contextmanager
def crds_console_off() -> Iterator[None]:
    """Keep crds from printing, within the block, what its log records say as well."""
    from crds.core import log

    crds_logger = getattr(log, "THE_LOGGER", None)
    if crds_logger is None or not hasattr(crds_logger, "console"):
        say_missing("crds", "core.log.THE_LOGGER.console", "its log lines may appear twice")
        yield
        return
    printing = crds_logger.console is not None
    if printing:
        log.remove_console_handler()
    try:
        yield
    finally:
        if printing:
            log.add_console_handler()


def crds_path(name: str, observatory: str) -> Path:
    """Give the place of a file in the CRDS cache.

    Asked for it, crds makes the folders of all instruments, and fails where another process
    makes one at the same moment (as in https://github.com/spacetelescope/crds/pull/1228).
    """
    from crds.core import config

    with suppress(OSError):
        Path(config.get_crds_refpath(observatory)).mkdir(parents=True, exist_ok=True)
    for _ in range(_FOLDERS):
        with suppress(FileExistsError), _locating:
            return Path(config.locate_file(name, observatory))
    return Path(config.locate_file(name, observatory))


def parse_schemas_once() -> None:
    """Have this process, and those forked from it, parse each schema of ASDF once.

    asdf parses that of arrays again for every array given to a data model, 264 times in
    Detector1: a tenth of its time for a small exposure. A schema's address carries its version,
    so what was read under it stays true. (Its `load_schema` has such a memory since
    https://github.com/asdf-format/asdf/pull/784, its validation of arrays has not.)
    """
    import asdf.schema

    try:
        load = cache(asdf.schema._make_schema_loader())
    except (AttributeError, TypeError):
        lost = "every exposure parses the schemas of its arrays again and again"
        say_missing("asdf", "schema._make_schema_loader", lost)
        return
    asdf.schema._make_schema_loader = lambda: load


def take_environment(changed: Collection[str]) -> None:
    """Have crds act on variables that differ from those it was imported with.

    It reads the address of its server, its verbosity and its settings file once; as it is imported
    it also puts the defaults of its settings into the environment, and counts on them.
    """
    if not any(name.startswith("CRDS_") for name in changed):
        return
    import crds
    from crds.core import config, log

    config.CRDS_INI_PARSER = None
    for name, module in list(sys.modules.items()):
        if name.startswith("crds."):
            for item in list(vars(module).values()):
                if isinstance(item, config.ConfigItem):
                    item.get()
    crds.URL = os.environ.get("CRDS_SERVER_URL", _NO_SERVER)
    crds.api.set_crds_server(crds.URL)
    with suppress(ValueError):
        log.set_verbose(int(os.environ.get("CRDS_VERBOSITY", 0)))
