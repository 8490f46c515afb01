"""The CRDS context: which version of the rules selects reference files.

A run resolves its context once and keeps it, whatever the server declares meanwhile.
"""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..exceptions import ContextError, CrdsServerError, ReferenceFileError, reason
from ..paths import misread_by_asdf, printable, unrecordable
from ..workarounds import client_offline, crds_console_off
from .cache import prefetch_all
from .crds_client import Catalogue, CrdsServer, Deadline, ServiceRefusedError, configured_server
from .reference import ReferenceFile

CONTEXT_VARIABLE = "CRDS_CONTEXT"
AT_A_TIME = 8
"""How many mappings are fetched side by side."""
WORDS = ("latest", "build")
"""What names a context by how it is found."""
LISTED = 5
"""How many contexts an error lists one by one."""


def resolve_context(observatory: str, context: str | None = None) -> str:
    """Name the context a run is to use, and make sure its mappings can be read.

    Parameters
    ----------
    observatory : str
        ``"jwst"`` or ``"roman"``.
    context : str, optional
        A context such as ``"jwst_1303.pmap"``; or ``"latest"``, the newest that the CRDS server or
        the cache declares operational; or ``"build"``, that of the installed software, which the
        server knows. If not given, ``CRDS_CONTEXT``, else ``"build"`` for JWST where there is a
        server, and ``"latest"`` otherwise, as the crds client has it.

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
    cache = _cache_folder()
    if problem := unrecordable(Path(cache)) or misread_by_asdf(cache):
        raise ContextError(f"CRDS cache {printable(cache)}: {problem}: rename the folder")
    server = configured_server(observatory)
    if server is None and (flaw := Catalogue(observatory).flaw()):
        raise ContextError(
            f"No CRDS context for {observatory} in {cache}: "
            f"config/{observatory}/server_config {flaw}"
        )
    name = context if context and context not in WORDS else _followed(observatory, context)
    if not config.is_mapping(name):
        raise ContextError(
            f"{name!r} is not a context: expected a name such as jwst_1303.pmap, latest or build"
        )
    if server is not None:
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

    The client has one context a process. Blocks in several threads overlap if they use the same
    one; else a block waits until those of the other context have ended.

    Yields
    ------
    str
        The context, as `resolve_context` names it.

    Raises
    ------
    ContextError
        There is no cache, or no such context. Or the block is within one of another context,
        beside which others are under way, or of a run that uses another one elsewhere.
    """
    within = _within.get()
    if within and context in WORDS:
        context = resolve_context(observatory, context)
    if within and context in (None, within) and os.environ.get(CONTEXT_VARIABLE) == within:
        yield within
        return
    with _of_this_process.of_a_run(
        observatory, context or within or None, is_nested=bool(within)
    ) as name:
        token = _within.set(name)
        try:
            with client_offline(observatory):
                yield name
        finally:
            _within.reset(token)


_within: ContextVar[str] = ContextVar("pinned_context", default="")


class _ProcessContext:
    """The one context that the crds client of this process can have, and who uses it."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._name = ""
        self._users = 0
        self._before: str | None = None
        self._found: dict[tuple[str | None, ...], str] = {}

    @contextmanager
    def of_a_run(self, observatory: str, context: str | None, *, is_nested: bool) -> Iterator[str]:
        """Have a context for the time of the block; see `pinned_context`."""
        if is_nested:
            name = resolve_context(observatory, context)
            outer, shared = self._enter(name)
            try:
                yield name
            finally:
                self._leave(outer, shared)
            return
        name = self._acquire(observatory, context)
        try:
            yield name
        finally:
            self._release()

    def _acquire(self, observatory: str, context: str | None) -> str:
        with self._turn:
            while (name := self._available(observatory, context)) is None:
                self._turn.wait()
            if not self._users:
                self._before = os.environ.get(CONTEXT_VARIABLE)
                self._name = name
                _use(name)
            self._users += 1
        return name

    def _release(self) -> None:
        with self._turn:
            self._users -= 1
            if not self._users:
                _use(self._before)
                self._turn.notify_all()

    def _enter(self, name: str) -> tuple[str, str]:
        """Use another context in the midst of a run, which nobody can share; give what was."""
        with self._turn:
            outer = os.environ[CONTEXT_VARIABLE]
            if self._users > 1 or outer != _within.get():
                raise ContextError(
                    f"{name} cannot be used within a run under {_within.get()} while others of "
                    f"this process use {outer}: start them in separate processes"
                )
            before = outer, self._name
            self._name = ""
            _use(name)
        return before

    def _leave(self, outer: str, shared: str) -> None:
        with self._turn:
            self._name = shared
            _use(outer)
            self._turn.notify_all()

    def _available(self, observatory: str, context: str | None) -> str | None:
        """Name the context, unless another one is in use or it is not known yet."""
        variable = self._before if self._users else os.environ.get(CONTEXT_VARIABLE)
        server = configured_server(observatory)
        asked = (_cache_folder(), server.url if server else "", observatory, context or variable)
        if not self._users:
            _forget()
            self._found.clear()
            self._found[asked] = name = resolve_context(observatory, context)
            return name
        wanted = self._found.get(asked, context or variable)
        return wanted if wanted == self._name else None


_of_this_process = _ProcessContext()


def _use(name: str | None) -> None:
    """Set the variable, and have crds forget what it knows of the context before."""
    if name is None:
        os.environ.pop(CONTEXT_VARIABLE, None)
    else:
        os.environ[CONTEXT_VARIABLE] = name
    _forget()


def _forget() -> None:
    from crds.core import utils

    utils.clear_function_caches()
    _context_of_server.cache_clear()


def _followed(observatory: str, word: str | None) -> str:
    """Find the context that a word, or else the environment, stands for."""
    from crds.core import config

    wanted = word or os.environ.get(CONTEXT_VARIABLE, "")
    if config.is_mapping(wanted):
        return wanted
    server = configured_server(observatory)
    if server is not None:
        return _context_of_server(server.url, observatory, wanted)
    if word == "build":
        raise ContextError(
            f"No build context for {observatory}: only a CRDS server knows it; set CRDS_SERVER_URL,"
            " or name the context"
        )
    import crds

    try:
        with crds_console_off(), client_offline(observatory):
            return str(crds.get_context_name(observatory, word))
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
    deadline = Deadline()
    name = wanted.removeprefix(f"{observatory}-")
    try:
        if name in ("", "build") and (name == "build" or observatory == "jwst"):
            with crds_console_off():
                version = api.get_cal_version(observatory)
            if version and version != "dev":
                with suppress(ServiceRefusedError):
                    method = "get_build_context"
                    return str(server.call(method, observatory, version, deadline=deadline))
            name = "edit" if version == "dev" else "latest"
        if name not in ("", "latest", "edit", "operational"):
            return str(server.call("get_context_by_date", wanted, observatory, deadline=deadline))
        state = "edit" if name == "edit" else "latest"
        return str(server.call("get_default_context", observatory, state, deadline=deadline))
    except CrdsServerError as error:
        raise ContextError(
            f"No CRDS context for {observatory}: {error}; or name a context that is in the cache"
        ) from error


def _load_mappings(observatory: str, name: str) -> None:
    from crds.core import config, rmap

    try:
        if not Path(config.locate_mapping(name)).is_file():
            known = [str(each) for each in rmap.list_mappings("*.pmap", observatory)]
            raise ContextError(
                f"Context {name} is not in the CRDS cache {_cache_folder()}; "
                f"it holds {_few_of(known, name)}"
            )
        with crds_console_off():
            rmap.get_cached_mapping(name)
    except ContextError:
        raise
    except (Exception, SystemExit) as error:
        raise ContextError(
            f"Context {name} cannot be loaded from {_cache_folder()}: {reason(error)}"
        ) from error


def _few_of(contexts: list[str], wanted: str) -> str:
    """List contexts; of many only the nearest to the wanted one and the newest."""
    if len(contexts) <= LISTED:
        return ", ".join(sorted(contexts, key=_number)) or "none"
    nearest = min(contexts, key=lambda each: abs(_number(each) - _number(wanted)))
    newest = max(contexts, key=_number)
    return f"{len(contexts)} contexts, the nearest is {nearest}, the newest {newest}"


def _number(context: str) -> int:
    return int("".join(filter(str.isdecimal, context)) or 0)


def _cache_folder() -> str:
    from crds.core import config

    return str(config.get_crds_path())


def prefetch_mappings(observatory: str, context: str) -> None:
    """Make sure that all mappings of a context are in the cache, and what they have to be.

    Done once for each cache; later, crds itself notices a mapping that is damaged, by the
    checksum it carries.
    """
    from crds.core import config

    _prefetch_mappings(observatory, context, str(config.get_crds_path()))


@lru_cache(maxsize=64)
def _prefetch_mappings(observatory: str, context: str, cache: str) -> None:
    try:
        catalogue = Catalogue(observatory)
        server = configured_server(observatory)
        if server is not None and catalogue.flaw():
            catalogue.refresh(server, Deadline())  # the crds client does nothing without it
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
