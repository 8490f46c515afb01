"""What is particular to the pipelines of one observatory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from stpipe_prefect.association import Association, is_association, read_association
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.registry import find_step

from .job import Job
from .selectors import Facts

if TYPE_CHECKING:
    from flows.sample.recovery import Recovery


class Sample(Protocol):
    """The simulated exposures that the command runs on by default.

    Attributes
    ----------
    crds_path : pathlib.Path
        Their own CRDS cache.
    others : tuple of pathlib.Path
        Further exposures, that only associations make something of.
    """

    @property
    def crds_path(self) -> Path: ...  # noqa: D102

    @property
    def others(self) -> tuple[Path, ...]: ...  # noqa: D102

    def inputs(self, stage: int | None, products: Path) -> list[Path]:
        """List what there is to calibrate; for one stage, perhaps among its products."""

    def recovery(self, products: Path) -> Recovery:
        """Compare what was made of them with what was put into them."""


@dataclass(frozen=True)
class Mission:
    """One observatory's pipelines, and the rules that select them for its exposures.

    Attributes
    ----------
    command : str
        Name of the command, and of the flow.
    flow, sample, preload : str
        Imported when needed: the flow and the function that returns the `Sample`, as
        ``"module:name"``, and the module that imports all heavy packages.
    observatory : str
        As CRDS spells it.
    package : str
        Package of the pipelines; also the name of the extra that installs it.
    pipelines : tuple of str
        Aliases.
    stages : tuple of int
        Stages that can run alone; empty if each input goes through one pipeline.
    exposures : tuple of str
        Patterns of file names; in a folder, the first pattern with matches is used.
    combines : callable
        Given an association and the exposures of its folder, tells whether to take it, too.
    job_for : callable
        Makes the job of an input: given its path and, by name, ``pipeline``, ``stage``,
        ``others``, the inputs of the same run, and ``keywords``, which are to be among the job's
        ``facts``.
    facts : callable
        Given an exposure and some keywords, or None for all, gives what its header and name say
        of these; without those that it does not have.
    help : Help
    associate : callable, optional
        Makes associations: given exposures and, by name, ``pool`` and ``by``; see
        `flows.calwebb.associations.associate`. As ``"module:name"``, imported when needed.
    shared_grids : str, optional
        Says on which grid mosaics of a target go; see `flows.calwebb.associations.grid`. As
        ``"module:name"``, imported when needed.
    know_suffix : str, optional
        Has the mission's pipelines know the suffix of products that none of them makes. As
        ``"module:name"``, imported when needed.
    """

    command: str
    flow: str
    sample: str
    preload: str
    observatory: str
    package: str
    pipelines: tuple[str, ...]
    stages: tuple[int, ...]
    exposures: tuple[str, ...]
    combines: Callable[[Association, Sequence[Path]], bool]
    job_for: Callable[..., Job]
    facts: Callable[[Path, Collection[str] | None], Facts]
    help: Help
    associate: str | None = None
    shared_grids: str | None = None
    know_suffix: str | None = None

    def takes(self, path: Path) -> bool:
        """Tell whether an exposure, or an association by its members, is in the mission's format.

        Raises
        ------
        InputError
            The association cannot be read.
        """
        names = read_association(path).members if is_association(path) else (path.name,)
        formats = {Path(pattern).suffix for pattern in self.exposures}
        return any(Path(name).suffix in formats for name in names)

    def check_installed(self) -> None:
        """Refuse to go on without the package of the pipelines, before anything else needs it.

        Raises
        ------
        UsageError
            It is not installed.
        """
        if find_spec(self.package) is None:
            extra = f"stpipe_prefect[{self.package}]"
            raise UsageError(f"{self.package} is not installed: pip install '{extra}'")

    def find_pipeline(self, name: str) -> Any:
        """Find the class of a pipeline; of its own without importing packages of other missions."""
        return find_step(f"{self.package}::{name}" if name in self.pipelines else name)

    def make_sample(self) -> Sample:
        """Give the sample, made first if need be."""
        sample: Sample = resolve_name(self.sample)()
        return sample

    def load_flow(self) -> Any:
        """Give the flow; imports prefect."""
        return resolve_name(self.flow)


@dataclass(frozen=True)
class Help:
    """What the command's help, and the form of its flow, say of a mission.

    Attributes
    ----------
    flow : str
        What its flow does, in one line.
    description : str
        What its command does.
    files : str
        What it takes.
    context : str
        For example.
    parameters : tuple of str
        One of a pipeline, and one of a step, for example.
    """

    flow: str
    description: str
    files: str
    context: str
    parameters: tuple[str, str]
