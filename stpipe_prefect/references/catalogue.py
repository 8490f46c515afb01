"""The catalogue: what the CRDS server says about its files.

It comes with the server's description of itself, which the crds client keeps in the cache as
``server_config``; there it is at hand without a server, too.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..exceptions import CrdsServerError, ReferenceFileError, reason
from .server import CrdsServer, Patience

_asking = threading.Lock()
_asked: set[tuple[str, str]] = set()
"""Catalogues, each with its server, that were renewed for a file that they did not name."""


@dataclass(frozen=True)
class Entry:
    """What a file has to be.

    Attributes
    ----------
    size : int
        Bytes.
    sha1 : str
        Empty if the server does not know it.
    """

    size: int
    sha1: str


class Catalogue:
    """The catalogue of one observatory, as it is in the cache in use.

    Parameters
    ----------
    observatory : str
        ``"jwst"`` or ``"roman"``.
    """

    def __init__(self, observatory: str) -> None:
        from crds.core import config

        self.observatory = observatory
        self.path = Path(config.locate_config("server_config", observatory))

    def entry(self, name: str) -> Entry | None:
        """Find out what a file has to be; `None` if that is not known."""
        about = self._read()[1].get(name)
        if not isinstance(about, Mapping) or not str(about.get("size", "")).isdecimal():
            return None
        sha1 = str(about.get("sha1sum", ""))
        return Entry(int(about["size"]), "" if sha1 == "none" else sha1)

    def entry_to_verify(
        self, name: str, server: CrdsServer | None, patience: Patience
    ) -> Entry | None:
        """Find out what a file in the cache has to be.

        A server is asked once about files that the catalogue does not name.

        Raises
        ------
        CrdsServerError, ReferenceFileError
            See `refresh`.
        """
        with _asking:
            asked = (str(self.path), server.url if server else "")
            if server is not None and asked not in _asked and self.entry(name) is None:
                self.refresh(server, patience)
                _asked.add(asked)
        return self.entry(name)

    def flaw(self) -> str:
        """Say why the crds client cannot work with what is in the cache, and what to do about it.

        Empty if it can.
        """
        from crds.core import config

        if config.get_uri("server_config") != "none":  # CRDS_CONFIG_URI: it is elsewhere
            return ""
        cure = "; set CRDS_SERVER_URL to have it fetched"
        try:
            self.path.open("rb").close()
        except (FileNotFoundError, NotADirectoryError):
            return f"is absent{cure}"
        except OSError as error:
            return f"cannot be read ({error.strerror}); have its owner make it readable"
        problem = _flaw(self._read()[0], self.observatory)
        return problem and f"is damaged: {problem}{cure}"

    def entry_for_download(
        self, name: str, server: CrdsServer, patience: Patience
    ) -> tuple[Entry, str]:
        """Find out what a file has to be and where it can be had, from the server if need be.

        Returns
        -------
        Entry, str
            The file, and its URL.

        Raises
        ------
        CrdsServerError
            The server cannot be asked.
        ReferenceFileError
            It does not know the file.
        """
        if self._read()[0].get("server") != server.url or self.entry(name) is None:
            self.refresh(server, patience)
        entry = self.entry(name)
        if entry is None:
            raise ReferenceFileError(f"{server} does not know {name}")
        return entry, self._url(name)

    def refresh(self, server: CrdsServer, patience: Patience) -> None:
        """Ask the server for the catalogue and keep it in the cache.

        Raises
        ------
        CrdsServerError
            It cannot be asked, or answers nonsense, which is not kept.
        ReferenceFileError
            The cache cannot be written.
        """
        from crds.client.proxy import crds_encode
        from crds.core import heavy_client

        info = server.call("get_server_info", patience=patience)
        if not isinstance(info, dict) or info.get("observatory") != self.observatory:
            raise CrdsServerError(
                f"{server} does not serve {self.observatory}; check CRDS_SERVER_URL"
            )
        for section in ("reference_url", "mapping_url", "config_url", "pickle_url"):
            if isinstance(info.get(section), dict):
                info[section] = info[section].get("unchecked", info[section])
        if "download_metadata" not in info:
            fields = ["sha1sum", "size"]
            files = server.call(
                "get_file_info_map", self.observatory, None, fields, patience=patience
            )
            info["download_metadata"] = crds_encode(files)
        info |= {"server": server.url, "status": "server", "connected": True}
        info.setdefault("last_synced", "")
        problem = _flaw(info, self.observatory)
        if not (problem or isinstance(_decoded(info), Mapping)):
            problem = "download_metadata is no list of files"
        if problem:
            raise CrdsServerError(
                f"{server} does not describe itself as CRDS does: {problem}; check CRDS_SERVER_URL"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReferenceFileError(
                f"CRDS cache {self.path.parent} cannot be written: {reason(error)}"
            ) from error
        heavy_client.cache_server_info(heavy_client.ConfigInfo(info), self.observatory)

    def _url(self, name: str) -> str:
        from crds.core import config

        uri = str(config.get_uri(name))  # CRDS_REFERENCE_URI, CRDS_MAPPING_URI
        if uri != "none":
            return uri
        section = "mapping_url" if config.is_mapping(name) else "reference_url"
        try:
            folder = self._read()[0][section][self.observatory]
            return f"{folder.rstrip('/')}/{name}"
        except (KeyError, TypeError, AttributeError) as error:
            raise CrdsServerError(
                f"The CRDS server does not say where {name} can be had"
            ) from error

    def _read(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        try:
            status = self.path.stat()
        except OSError:
            return {}, {}
        return _parse(self.path, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4)
def _parse(path: Path, mtime: int, inode: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the server's description, and its files by name; nothing where it is damaged."""
    try:
        info = ast.literal_eval(path.read_text())
    except (OSError, ValueError, SyntaxError, MemoryError, RecursionError):
        return {}, {}
    files = _decoded(info) if isinstance(info, Mapping) else None
    return (info, files) if isinstance(files, Mapping) else ({}, {})


def _decoded(info: Mapping[str, Any]) -> Any:
    """Give the files of a description by name; None where they cannot be read."""
    from crds.client.proxy import crds_decode

    try:
        return crds_decode(info.get("download_metadata", {}))
    except Exception:  # of base64, gzip, JSON
        return None


def _flaw(info: Mapping[str, Any], observatory: str) -> str:
    """Say what the crds client would miss in a server's description of itself."""
    bad = info.get("bad_files_list")
    if not info:
        return "it cannot be read"
    if info.get("observatory") != observatory:
        return f"its observatory is not {observatory}"
    if not isinstance(bad, (list, tuple)) or not all(isinstance(name, str) for name in bad):
        return "bad_files_list is no list of files"
    if not isinstance(info.get("operational_context"), str):
        return "it names no operational_context"
    return "" if "last_synced" in info else "last_synced is missing"
