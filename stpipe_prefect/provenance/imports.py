"""Which modules a module imports, found out from its source without importing it."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile

Imports = dict[str, list[str]]


@dataclass(frozen=True)
class Source:
    """The source of one module.

    Attributes
    ----------
    sha256 : str
        Of the code alone: comments, docstrings and layout do not count.
    imports : tuple of str
        Dotted names, as far as they are written in it; also of members of modules.
    """

    sha256: str
    imports: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: ModuleSpec) -> Source:
        """Read the source of a module that was found; nothing, if there is no file."""
        path = Path(spec.origin or "")
        package = spec.name if spec.submodule_search_locations is not None else spec.parent or ""
        try:
            stat = path.stat()
            touched = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            return _source(path.absolute(), package, touched)
        except OSError:  # a namespace package, or in an archive
            return cls("")


def code_sha256(code: bytes | str) -> str:
    """Give the sha256 of Python code without its comments and docstrings; of all that is none."""
    return _parsed(code if isinstance(code, bytes) else code.encode(), "").sha256


def find_module(name: str) -> ModuleSpec | None:
    """Find a module as importing it would, without importing those above it."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded if isinstance(loaded, ModuleSpec) else None
    above, _, own = name.rpartition(".")
    folders = None
    if above:
        parent = find_module(above)
        if parent is None or parent.submodule_search_locations is None:
            return None
        folders = list(parent.submodule_search_locations)
    for finder in sys.meta_path:
        with suppress(ImportError, AttributeError, ValueError, KeyError):
            if (found := finder.find_spec(name, folders)) is not None:
                return found
    # Python describes a folder without __init__.py only if what is above it was imported.
    places = [place for folder in folders or () if (place := Path(folder, own)).is_dir()]
    if not places:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(place) for place in places]
    return spec


def imports_within(packages: Mapping[str, str]) -> Imports:
    """Give what each module of some packages imports of these packages.

    It is kept in the user's cache for the packages' versions, unless one of them has none: then
    their files may change.

    Parameters
    ----------
    packages : mapping of str to str
        Versions by the names by which the packages are imported.
    """
    file = _kept_in(packages)
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_text()) if file is not None else None
        if isinstance(kept, dict) and all(isinstance(names, list) for names in kept.values()):
            return kept
    import grimp
    from grimp.exceptions import GrimpException

    try:
        graph = grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)
    except (GrimpException, ValueError):  # one cannot be read: any may import any
        return {name: sorted(packages) for name in packages}
    found = {name: sorted(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    if file is not None:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=file.parent, delete=False, prefix=".") as temporary:
                json.dump(found, temporary)
            Path(temporary.name).replace(file)
    return found


def _kept_in(packages: Mapping[str, str]) -> Path | None:
    from platformdirs import user_cache_path

    if "" in packages.values():
        return None
    key = json.dumps([sorted(packages.items()), version("grimp")])
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    return user_cache_path("stpipe_prefect") / "imports" / name


@lru_cache(maxsize=10_000)
def _source(path: Path, package: str, touched: tuple[int, ...]) -> Source:
    content = path.read_bytes()
    if path.suffix != ".py":  # compiled
        return Source(hashlib.sha256(content).hexdigest())
    return _parsed(content, package)


def _parsed(content: bytes, package: str) -> Source:
    try:
        tree = ast.parse(content)
        imports = tuple(dict.fromkeys(_imported(tree, package)))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                node.body = node.body[1:] if ast.get_docstring(node, clean=False) else node.body
        code = ast.unparse(tree).encode()
    except (SyntaxError, ValueError, RecursionError):
        return Source(hashlib.sha256(content).hexdigest())
    return Source(hashlib.sha256(code).hexdigest(), imports)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -node.level + 1 or None] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{start}.{each.name}" for each in node.names if start)
