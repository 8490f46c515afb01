"""What a campaign is to be: all that a command or flow run says of it, but its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.exceptions import InputError, UsageError

from .associations import Associated, associate, exposures_of, put_on_shared_grids
from .campaign import Campaign
from .jobs import plan_jobs

if TYPE_CHECKING:
    from flows.trials.folders import Trial

    from .job import Job
    from .missing import Missing
    from .mission import Mission


@dataclass(frozen=True)
class Specification:
    """What a campaign is to be.

    Attributes
    ----------
    mission : Mission
    files : tuple of pathlib.Path
        Exposures and associations.
    output_dir : pathlib.Path
        Folder for the products; of a trial its own.
    pipeline : str or None
        What is to run, whatever a file calls for.
    stage : int or None
        The only one to run of what a file calls for.
    associate : tuple of str or None
        Keywords by which exposures are combined; none for those of the observatory's rules. None:
        associations are not made.
    pool : pathlib.Path or None
        That DMS made of the exposures.
    grid : {"shared"} or None
        Put all mosaics of a target on one pixel grid.
    missing, crds_context, config_file, ignore, overwrite, checkpoint, strict, trial
        As `Campaign` has them.

    Raises
    ------
    UsageError
        What goes with associations is asked for without these, or a part of what they go through.
    """

    mission: Mission
    files: tuple[Path, ...]
    output_dir: Path
    pipeline: str | None = None
    stage: int | None = None
    associate: tuple[str, ...] | None = None
    pool: Path | None = None
    grid: str | None = None
    missing: Missing = "fail"
    crds_context: str | None = None
    config_file: str | None = None
    ignore: tuple[str, ...] = ()
    overwrite: bool = False
    checkpoint: tuple[str, ...] = ()
    strict: bool = False
    trial: Trial | None = None

    def __post_init__(self) -> None:
        if self.associate is None:
            asked = {"pool": self.pool, "grid": self.grid, "missing": self.missing != "fail"}
            for name in (name for name, is_asked in asked.items() if is_asked):
                raise UsageError(f"{name} goes with associate")
        elif self.pipeline or self.stage:
            raise UsageError("associate goes through all stages: leave pipeline and stage out")

    def associated(self) -> Associated | None:
        """Make the associations of the exposures, and see that all is there that they need.

        Raises
        ------
        InputError
            They cannot be made, or a file that they need is absent.
        """
        if self.associate is None:
            return None
        exposures = exposures_of(self.files)
        made = associate(exposures, self.mission, by=self.associate, pool=self.pool)
        made.check(self.output_dir)
        return made

    def jobs(
        self, made: Iterable[Path] | None
    ) -> tuple[list[Job], dict[Path, InputError | UsageError]]:
        """Decide what each file calls for; see `plan_jobs`.

        The associations that were `made` take the place of others.
        """
        files = self.files if made is None else [*exposures_of(self.files), *made]
        return plan_jobs(files, self.mission, pipeline=self.pipeline, stage=self.stage)

    def campaign(
        self,
        jobs: list[Job],
        given: Mapping[str, Any],
        associated: Associated | None,
        refused: Mapping[Path, InputError | UsageError] | None = None,
    ) -> Campaign:
        """Plan the jobs as a campaign, with the parameters given."""
        campaign = Campaign(
            self.mission,
            jobs,
            self.output_dir,
            given=given,
            config_file=self.config_file,
            crds_context=self.crds_context,
            ignore=self.ignore,
            overwrite=self.overwrite,
            checkpoint=self.checkpoint,
            strict=self.strict,
            missing=self.missing,
            trial=self.trial,
            refused=refused or {},
        )
        if associated and self.grid:
            put_on_shared_grids(campaign, associated)
        return campaign
