"""What a campaign is to be: all that a command or flow run says of it, but its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.exceptions import InputError, UsageError
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.remote.urls import url_of

from .associations import Associated, associate, exposures_of, put_on_shared_grids
from .between import OwnClasses, members_made
from .campaign import Campaign
from .exclusions import Exclusions
from .inputs import campaign_file_among, find_inputs
from .jobs import plan_jobs
from .remote import bring_related
from .rules import check_rules, with_rules

if TYPE_CHECKING:
    from flows.trials.folders import Trial

    from .campaign_file import CampaignFile
    from .job import Job
    from .missing import Missing
    from .mission import Mission

FOR_ASSOCIATIONS = ("associate", "pool", "grid", "missing")
"""What a campaign file says of them does not count where one stage or pipeline is asked for."""


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
    missing, crds_context, config_file, ignore, overwrite, checkpoint, strict, trial, report
        As `Campaign` has them.
    campaign_file : CampaignFile or None
        What says this, with parameters and rules for the jobs.
    excluded : dict of pathlib.Path to str
        Inputs that it leaves out, and why.

    Raises
    ------
    UsageError
        What goes with associations is asked for without these, or a part of what they go through;
        or associations or a trial of what is in a store.
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
    report: str | None = None
    campaign_file: CampaignFile | None = None
    excluded: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_store = next(filter(None, map(url_of, (*self.files, self.output_dir))), "")
        if in_store and self.trial:
            raise UsageError(f"{in_store}: a trial takes local files, and a local folder")
        if self.report:
            from flows.report.page import check_page

            check_page(Path(self.report))
        if self.associate is None:
            asked = {"pool": self.pool, "grid": self.grid, "missing": self.missing != "fail"}
            for name in (name for name, is_asked in asked.items() if is_asked):
                raise UsageError(f"{name} goes with associate")
        elif in_store:
            raise UsageError(f"{in_store}: associate takes local files, and a local folder")
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
        if self.campaign_file and self.campaign_file.stages:
            made = made.with_members(members_made(self._planned(exposures)[0], self.campaign_file))
        made.check(self.output_dir)
        return made

    def jobs(
        self, made: Iterable[Path] | None
    ) -> tuple[list[Job], dict[Path, InputError | UsageError]]:
        """Decide what each file calls for; see `plan_jobs`.

        The associations that were `made` take the place of others.
        """
        bring_related(self.files, self.output_dir)
        files = [*self.files] if made is None else [*exposures_of(self.files), *made]
        left_out = self._exclusions.of(files)
        refused = self._exclusions.refused(path for path in files if path not in left_out)
        files = [path for path in files if path not in left_out and path not in refused]
        jobs, others = self._planned(files)
        if self.campaign_file:
            jobs = with_rules(jobs, self.campaign_file, self.mission, self.output_dir)
        return jobs, refused | others

    def _planned(
        self, files: Sequence[Path]
    ) -> tuple[list[Job], dict[Path, InputError | UsageError]]:
        plan = partial(plan_jobs, files, self.mission, pipeline=self.pipeline, stage=self.stage)
        if not (file := self.campaign_file):
            return plan()
        own = OwnClasses(file, self.mission, self.output_dir)
        return plan(keywords=file.keywords, adapt=own.adapted)

    def unused_exclusions(self, made: Iterable[Path] | None) -> list[str]:
        """Say which exclusions match none of the inputs and associations `made`."""
        return self._exclusions.unused([*self.files, *self.excluded, *(made or ())])

    def campaign(
        self,
        jobs: list[Job],
        given: Mapping[str, Any],
        associated: Associated | None,
        refused: Mapping[Path, InputError | UsageError] | None = None,
    ) -> Campaign:
        """Plan the jobs as a campaign, with the parameters given."""
        file = self.campaign_file
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
            report=self.report,
            refused=refused or {},
            config_files=file.config_files if file else {},
            excluded=self.excluded | self._exclusions.of(associated.files if associated else ()),
        )
        if associated and self.grid:
            put_on_shared_grids(campaign, associated)
        if file and not campaign.is_unchanged:
            check_rules(file, self.mission, campaign.jobs)
        return campaign

    @property
    def _exclusions(self) -> Exclusions:
        file = self.campaign_file
        return Exclusions(file.exclude, str(file)) if file else Exclusions()


def specification(
    mission: Mission,
    names: Sequence[str],
    default_folder: Path,
    output_dir: str | None = None,
    trial: str | None = None,
    check: Callable[[CampaignFile], None] | None = None,
    **said: Any,
) -> Specification:
    """Say what a campaign is to be: files, or a campaign file, and what else is said.

    Parameters
    ----------
    mission : Mission
    names : sequence of str
        What the user names as inputs.
    default_folder : pathlib.Path
        For the products, if nothing else is said.
    output_dir : str, optional
    trial : str, optional
        Name of the trial that it is of the campaign whose products go there.
    check : callable, optional
        Refuses a campaign file before anything that it names is looked for.
    **said
        Fields of `Specification`; they go over what the file says, unless they are None.

    Raises
    ------
    InputError, UsageError
        See `find_inputs` and `read_campaign_file`.
    """
    said = {name: value for name, value in said.items() if value is not None}
    file = _campaign_file(names, mission)
    if file:
        names = file.input_names
        default_folder = file.located(file.output) if file.output else default_folder
        if check:
            check(file)
        _check_files(file)
        own = file.options()
        if "associate" not in said and ("pipeline" in said or "stage" in said):
            own = {name: own[name] for name in own if name not in FOR_ASSOCIATIONS}
        said = own | said
    folder = folder_path(output_dir) if output_dir else default_folder
    try:
        found = list(find_inputs(names, mission))
    except InputError as error:
        raise type(error)(f"{file}: inputs: {error}" if file else str(error)) from error
    excluded = Exclusions(file.exclude, str(file)).of(found) if file else {}
    files = (path for path in found if path not in excluded)
    return of_files(mission, files, folder, trial, **said, campaign_file=file, excluded=excluded)


def of_files(
    mission: Mission, files: Iterable[Path], folder: Path, trial: str | None = None, **said: Any
) -> Specification:
    """Specify a campaign of files, with its products in a folder, or in that of a trial there.

    Fields of `Specification` that are None keep their defaults.
    """
    from flows.trials.folders import Trial

    tried = None if trial is None else Trial(folder, trial)
    said = {name: value for name, value in said.items() if value is not None}
    return Specification(
        mission, tuple(files), tried.folder if tried else folder, trial=tried, **said
    )


def _check_files(file: CampaignFile) -> None:
    from .campaign_reading import check_files  # which imports pydantic

    check_files(file)


def _campaign_file(names: Sequence[str], mission: Mission) -> CampaignFile | None:
    path = campaign_file_among(names)
    if path is None:
        return None
    from .campaign_reading import read_campaign_file  # which imports pydantic

    return read_campaign_file(path, mission)
