"""Inputs and products in a store: what of them is here for a plan, and for a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import groupby
from pathlib import Path

from stpipe_prefect.association import Association, is_association, read_association
from stpipe_prefect.exceptions import InputError, NoInputError, StpipePrefectError
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.products.staging import check_output_dir
from stpipe_prefect.provenance.inputs import input_files
from stpipe_prefect.remote import store
from stpipe_prefect.remote.products import ABOUT_RUNS, ProductsFolder, bring_objects
from stpipe_prefect.remote.scratch import reserve, scratch
from stpipe_prefect.remote.stand_ins import bring_header, fetch, side_by_side, stand_in
from stpipe_prefect.remote.urls import as_urls, is_url, local_path, url_of

ASSOCIATIONS = "*_asn.*"


def bring_named(name: str, patterns: Iterable[str]) -> Path:
    """Bring what a URL names: an object, those that match, or some of a folder; give its path.

    Of exposures only headers are fetched. Of a folder there are all that match the first pattern
    that any do, and associations.
    """
    path = local_path(name)
    found: Mapping[str, store.Mark] = {}
    if has_magic(name):
        found = store.matching(name)
    elif not name.endswith("/") and (mark := store.mark_of(name)):
        found = {name: mark}
    else:
        here = store.listed(name)
        if not here:
            raise _nothing_at(name)
        exposures = next(filter(None, (_like(pattern, here) for pattern in patterns)), [])
        wanted = [*exposures, *_like(ASSOCIATIONS, here)]
        found = {f"{name.rstrip('/')}/{each}": here[each] for each in wanted}
        path.mkdir(parents=True, exist_ok=True)
    _bring(found)
    return path


def bring_archive(name: str, aside: Collection[str]) -> Path:
    """Bring what the URL of an archive names: a list of exposures, or a folder; give its path.

    Of a folder and all within it, but those that are aside or hidden, there are records and
    associations, and of all else but logs and quick looks the size.
    """
    path = local_path(name)
    if not name.endswith("/") and (mark := store.mark_of(name)):
        _bring({name: mark})
        return path
    found = store.listed_below(name.rstrip("/"))
    if not found:
        raise _nothing_at(name)
    path.mkdir(parents=True, exist_ok=True)
    paths = {
        path / each: mark
        for each, mark in found.items()
        if not each.endswith(ABOUT_RUNS)
        and not any(part in aside or part.startswith(".") for part in each.split("/"))
    }
    bring_objects(paths)
    side_by_side(fetch, filter(_may_be_association, paths))
    return path


def bring_listed(files: Iterable[Path]) -> None:
    """Bring files that a list names, and what is related to them beside them."""
    for folder, group in groupby(sorted(files), key=lambda file: file.parent):
        here = [*group]
        if url := url_of(folder):
            names = {file.name for file in here}
            found = store.listed(url, names)
            _bring({f"{url}/{each}": found[each] for each in names & found.keys()})
        bring_related(here, folder)


def bring_headers(files: Collection[Path]) -> None:
    """Bring the headers of inputs, and the members of associations that are URLs."""

    def bring(file: Path) -> None:
        with suppress(InputError):  # who plans it says so
            bring_header(file)

    side_by_side(bring, filter(url_of, files))
    _bring_members_elsewhere(filter(None, map(_association, files)))


def bring_related(files: Iterable[Path], folder: Path) -> ProductsFolder | None:
    """Bring what earlier runs made of files, and the members of associations, if they are there.

    Of products only the records are fetched. None if the folder for products is in no store.
    """
    beginnings: set[str] = set()
    associations: list[Association] = []
    for file in files:
        association = _association(file)
        beginnings.add(_root(file, association))
        if association is None:
            continue
        associations.append(association)
        named = (*association.product_names, *association.members)
        beginnings.update(Path(name).stem for name in named if not is_url(name))
        if file.parent != folder:
            _bring_members_beside(file, association)
    _bring_members_elsewhere(associations)
    if not url_of(folder):
        return None
    products = ProductsFolder(folder)
    products.bring(beginnings)
    return products


def check_output(folder: Path, needed: int) -> None:
    """Make sure that products can be written, before any time is spent on them."""
    if url := url_of(folder):
        store.check_writable(url)
    else:
        check_output_dir(folder, needed)


class Workspace:
    """What one job reads, here and whole, and what it makes.

    Attributes
    ----------
    input, folder : pathlib.Path
        The input, and the folder for products, or what stands for them.
    """

    def __init__(self, input: str, output_dir: str) -> None:
        self.input = folder_path(input)
        self.folder = folder_path(output_dir)
        self._products: ProductsFolder | None = None
        if _is_remote(input, output_dir):
            self._bring(input)

    def _bring(self, input: str) -> None:
        if is_url(input):
            mark = store.mark_of(input)
            if mark is None:
                raise NoInputError(f"{input}: no such object")
            stand_in(self.input, mark)
        if is_association(self.input):
            fetch(self.input)
        self._products = bring_related([self.input], self.folder)
        if self._products:
            self._products.clear(_root(self.input, _association(self.input)))
        files = [file for file in input_files(str(self.input), self.folder) if file.exists()]
        if inside := next(filter(url_of, (self.folder, *files)), None):
            reserve(inside, 2 * sum(file.stat().st_size for file in files))
        side_by_side(fetch, files)

    def publish(self) -> None:
        """Upload what was made, if its place is in a store."""
        if self._products:
            self._products.publish()


@contextmanager
def workspace(input: str, output_dir: str) -> Iterator[Workspace]:
    """Have what a job reads here while the block lasts; errors name the objects it stands for."""
    what = f"{Path(input).name} in {output_dir}"
    try:
        with scratch(what.replace("://", "-"), what):
            yield Workspace(input, output_dir)
    except StpipePrefectError as error:
        error.args = tuple(as_urls(arg) if isinstance(arg, str) else arg for arg in error.args)
        raise


def _is_remote(input: str, output_dir: str) -> bool:
    if is_url(input) or is_url(output_dir):
        return True
    association = _association(Path(input))
    return association is not None and any(map(is_url, association.members))


def _bring(found: Mapping[str, store.Mark]) -> None:
    """Put stand-ins in the place of objects, by their URLs, with the headers in them."""
    paths = {local_path(url): mark for url, mark in found.items()}
    for path, mark in paths.items():
        stand_in(path, mark)
    side_by_side(bring_header, paths)


def _bring_members_elsewhere(associations: Iterable[Association]) -> None:
    """Put stand-ins in the place of members of associations that are URLs."""
    names = {name for each in associations for name in each.members if is_url(name)}

    def bring(url: str) -> None:
        if mark := store.mark_of(url):
            stand_in(local_path(url), mark)

    side_by_side(bring, names)


def _bring_members_beside(file: Path, association: Association) -> None:
    """Put stand-ins in the place of members that are beside an association."""
    if url := url_of(file.parent):
        here = store.listed(url, [Path(name).stem for name in association.members])
        for name in here.keys() & {*association.members}:
            stand_in(file.parent / name, here[name])


def _root(path: Path, association: Association | None) -> str:
    """Give what the names of all products of an input begin with."""
    if association and any(association.product_names):
        return Path(next(filter(None, association.product_names))).name
    return path.stem.rpartition("_")[0] or path.stem


def _association(path: Path) -> Association | None:
    """Read an association; what is wrong with one is said where it is planned."""
    try:
        return read_association(path) if is_association(path) else None
    except InputError:
        return None


def _nothing_at(url: str) -> NoInputError:
    return NoInputError(f"{url}: no such object, and no folder of objects")


def _may_be_association(path: Path) -> bool:
    return fnmatchcase(path.name, ASSOCIATIONS) and is_association(path)


def _like(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]
