"""The associations of a campaign: made of its exposures, and written for its jobs."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from stpipe_prefect.association import BY_NAME, Association, is_association
from stpipe_prefect.exceptions import InputError, UsageError
from stpipe_prefect.parameters.text import leaves
from stpipe_prefect.products.staging import synced

if TYPE_CHECKING:
    from stpipe_prefect.parameters.resolution import Layer

    from .campaign import Campaign
    from .job import Job
    from .mission import Mission


@dataclass(frozen=True)
class Associated:
    """What was made of exposures.

    Attributes
    ----------
    associations : tuple of Association
        Each with the name of its file as its path.
    remarks : tuple of str
        What could not be associated, and why.
    needed : mapping of str to pathlib.Path
        Names of files that pipelines look for beside their input, and an exposure that says so.
    exposures : tuple of pathlib.Path
        What they were made of; some may be members as they are.
    """

    associations: tuple[Association, ...]
    remarks: tuple[str, ...] = ()
    needed: Mapping[str, Path] = field(default_factory=dict)
    exposures: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """Names of the files of the associations."""
        return [each.path for each in self.associations if each.path]

    def check(self, folder: Path) -> None:
        """Refuse to begin where something that is needed in the middle would not be found.

        Raises
        ------
        InputError
            A file is neither beside the exposure that names it nor in the folder, or will be
            looked for elsewhere.
        """
        for name, exposure in self.needed.items():
            if not any((place / name).is_file() for place in (folder, exposure.parent)):
                raise InputError(
                    f"{exposure}: needs {name}, which is neither beside it nor in {folder}: "
                    "get it from the archive first"
                )
        for association in self.associations:
            kinds = {str(member["exptype"]) for member in association.each_member()}
            if (kinds := kinds.intersection(BY_NAME)) and folder.resolve() != Path.cwd():
                raise InputError(
                    f"{association.path}: has {', '.join(sorted(kinds))} among its members, which "
                    f"the pipeline opens in the current folder: run the command in {folder}"
                )

    def written(self, folder: Path, *, instead: Path | None = None) -> list[Path]:
        """Have the files in a folder, those that are needed, too; what is there is left alone.

        Parameters
        ----------
        folder : pathlib.Path
            Where the products go.
        instead : pathlib.Path, optional
            Write those that are not there into this folder, and none into `folder`.
        """
        paths = []
        elsewhere = {
            path.name: str(path.absolute())
            for path in self.exposures
            if path.parent.resolve() != folder.resolve()
        }
        for association in self.associations:
            assert association.path is not None
            path, text = folder / association.path.name, placed_content(association, elsewhere)
            if not (path.is_file() and path.read_bytes() == text):
                path = (instead or folder) / path.name
                write_file(path, text)
            paths.append(path)
        if instead is None:
            for name, exposure in self.needed.items():
                if not (folder / name).exists():
                    write_file(folder / name, (exposure.parent / name).read_bytes())
        return paths

    def with_members(self, names: Mapping[str, str]) -> Associated:
        """Have other files in the place of members, by their names."""
        changed = copy.deepcopy(self.associations)
        for member in (member for each in changed for member in each.each_member()):
            member["expname"] = names.get(member["expname"], member["expname"])
        return replace(self, associations=changed)

    def count_others(self, paths: Iterable[Path], folder: Path) -> int:
        """Count the associations among files that are not those made in the folder."""
        made = {(folder / path.name).resolve() for path in self.files}
        return sum(is_association(path) and path.resolve() not in made for path in paths)

    def as_json(self) -> list[dict[str, Any]]:
        """Give what a plan says of each: its file, type, rule, what is common, and members."""
        return [
            {
                "file": str(each.path),
                **{name: each.table.get(name) for name in ("asn_type", "asn_rule", "constraints")},
                "products": list(each.product_names),
                "members": [
                    {name: member.get(name) for name in ("expname", "exptype")}
                    for member in each.each_member()
                ],
            }
            for each in self.associations
        ]


def associate(
    exposures: Sequence[Path], mission: Mission, *, by: Sequence[str] = (), pool: Path | None = None
) -> Associated:
    """Make the associations of the exposures of a campaign.

    Raises
    ------
    InputError
        There are none; or see `flows.calwebb.associations.associate`.
    """
    if not exposures:
        raise InputError("nothing to associate: give exposures, not only associations")
    assert mission.associate is not None
    made: Associated = resolve_name(mission.associate)(exposures, pool=pool, by=by)
    return made


def put_on_shared_grids(campaign: Campaign, associated: Associated) -> None:
    """Have all mosaics of a target made on one pixel grid.

    Raises
    ------
    InputError, UsageError
        See `flows.calwebb.associations.grid.shared_grids`.
    """
    assert campaign.mission.shared_grids is not None
    grids = resolve_name(campaign.mission.shared_grids)
    layers = grids(associated.associations, associated.exposures, campaign.said)
    for job in campaign.jobs:
        if job.input.name in layers:
            _check_rules(job, layers[job.input.name])
    campaign.put_below(layers)


def _check_rules(job: Job, grid: Layer) -> None:
    """Refuse rules for some mosaics that place pixels: all of a target have the same."""
    decided = dict(leaves(grid.values))
    for pipeline, layers in job.layers.items():
        for layer in layers:
            for name, value in leaves(layer.values):
                if name in decided and value != decided[name]:
                    raise UsageError(
                        f"{layer.source}: {pipeline}.{name} = {value}, but all mosaics of a target "
                        f"share a grid: give it under [{pipeline}], or leave the grid out"
                    )


def exposures_of(paths: Iterable[Path]) -> list[Path]:
    """Leave out associations: others are made in their place."""
    return [path for path in paths if not is_association(path)]


def placed_content(association: Association, elsewhere: Mapping[str, str]) -> bytes:
    """Give the content of its file; members elsewhere, that nothing makes, have their paths."""
    placed = Association(copy.deepcopy(association.table))
    for member in placed.each_member():
        member["expname"] = elsewhere.get(member["expname"], member["expname"])
    return _content(placed)


def write_association(path: Path, association: Association) -> None:
    """Write an association into its file."""
    write_file(path, _content(association))


def _content(association: Association) -> bytes:
    return (json.dumps(association.table, indent=1, ensure_ascii=False) + "\n").encode()


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also where another run writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        temporary.write_bytes(content)
        synced(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
