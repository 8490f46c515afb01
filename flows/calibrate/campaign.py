"""The campaign: exposures and associations that are calibrated together, planned once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.exceptions import (
    InputError,
    StpipePrefectError,
    UsageError,
)
from stpipe_prefect.execution.events import report
from stpipe_prefect.insertions.derived import with_insertions
from stpipe_prefect.parameters.layers import merge, new_config
from stpipe_prefect.parameters.origins import file_layers
from stpipe_prefect.parameters.text import typed
from stpipe_prefect.provenance.checkpoints import BEFORE
from stpipe_prefect.provenance.dependencies import ASPECTS
from stpipe_prefect.provenance.inputs import first_exposure
from stpipe_prefect.provenance.plans import NO_PRODUCT, Plan, QuickPlanner
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.references.needs import read_crds_parameters

from .classes import Classes
from .job import Job
from .jobs import check_output_files, pipelines_of
from .parameters import parameters_of, share_checkpoints
from .planning import UNREADABLE, after, plan_of, planners_of
from .trial import Sharing, with_own_members

if TYPE_CHECKING:
    from flows.trials.folders import Trial
    from stpipe_prefect.execution.results import Result
    from stpipe_prefect.orchestration.plan import Planner
    from stpipe_prefect.parameters.resolution import Layer

    from .job import Inserts, Layers
    from .missing import Missing
    from .mission import Mission


@dataclass(eq=False)
class Campaign:
    """What one command or flow run calibrates.

    Attributes
    ----------
    mission : Mission
    jobs : sequence of Job
        In order: each after the jobs it needs; see `flows.calibrate.jobs.plan_jobs`.
    output_dir : pathlib.Path or None
        Folder of the products; None: the folder of each input.
    given : mapping
        Parameters by name; those of steps under ``"steps"``, by step.
    config_file : str or None
        Parameter file of the pipeline whose class it names.
    crds_context : str or None
        None for the operational one.
    ignore : sequence of str
        See `stpipe_prefect.orchestration.plan.Planner`.
    overwrite : bool
        Also run what is up to date, and what would otherwise be refused.
    checkpoint : sequence of str
        Steps after which models are kept, or ``"all"``.
    strict : bool
        Whether a step that could not do its work is an error.
    missing : {"fail", "drop", "wait"}
        What becomes of an association of which members failed; the latter two regard those
        that are degraded, too.
    trial : flows.trials.folders.Trial or None
        What of its products the base or another trial has is shared and not computed.
    refused : mapping of pathlib.Path to StpipePrefectError
        Inputs that cannot be calibrated.
    config_files : mapping of str to str
        Parameter files by pipeline; `config_file` goes before the one for the same.
    excluded : mapping of pathlib.Path to str
        Inputs that are left out, and why.
    report : str or None
        File for a page about the results.
    left_out : mapping of pathlib.Path to StpipePrefectError
        Refused inputs that were named before; only the page lists them again.
    parameters : dict of str to dict
        Parameters of each pipeline, with its file under ``"config_file"``.
    checkpoints : dict of str to list
        For each pipeline, its steps in `checkpoint`.
    results : list of Result
        Result of each input, after the campaign has run.

    Raises
    ------
    ParameterError, UsageError
        A parameter, parameter file or checkpoint belongs to no pipeline, or two inputs would
        make the same product. The message names every problem.
    """

    mission: Mission
    jobs: Sequence[Job]
    output_dir: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    config_file: str | None = None
    crds_context: str | None = None
    ignore: Sequence[str] = ()
    overwrite: bool = False
    checkpoint: Sequence[str] = ()
    strict: bool = False
    missing: Missing = "fail"
    trial: Trial | None = None
    refused: Mapping[Path, StpipePrefectError] = field(default_factory=dict)
    config_files: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[Path, str] = field(default_factory=dict)
    report: str | None = None
    left_out: Mapping[Path, StpipePrefectError] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(init=False)
    checkpoints: dict[str, list[str]] = field(init=False)
    results: list[Result] = field(init=False, default_factory=list)
    _classes: Classes = field(init=False)
    _degraded: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        pipelines, self._classes = pipelines_of(self.jobs), Classes(self.jobs)
        find = self._classes.find
        said = self.given, self.config_file, self.config_files
        self.parameters = parameters_of(pipelines, *said, find)
        self.checkpoints = share_checkpoints(pipelines, [*self.checkpoint], find)
        if self.trial:
            for name in pipelines:
                concerned = self.parameters[name].get("steps", {})
                self.checkpoints[name] += [f"{BEFORE}{step}" for step in concerned]
        check_output_files(self.jobs, self.parameters)

    def planned(self, *, check_files: bool = False, sharing: bool = False) -> Iterator[Job]:
        """Plan every pipeline of every job; gives the jobs with their plans.

        A product that an earlier pipeline will remake is a changed input for a later one.

        Parameters
        ----------
        check_files : bool
            Refuse a run if members or reference files are missing.
        sharing : bool
            Have a trial share at once what its plans find with others.
        """
        with ExitStack() as planning:
            made: dict[str, Planner] = {}
            remade: dict[Path, set[str]] = defaultdict(set)
            for job in self.jobs:
                if job.input in self.unchanged:
                    yield self.unchanged[job.input]
                    continue
                planners = planners_of(
                    job, made, lambda *about: planning.enter_context(self.planner(*about))
                )
                folder = self.output_dir or job.input.parent
                checking = planners if check_files else None
                shared = None
                if self.trial and not self.overwrite:
                    shared = Sharing(self.trial, planners, is_real=sharing)
                plans = self._plans_of(job, planners, folder, remade[folder], checking, shared)
                yield replace(job, plans=tuple(plans))

    @cached_property
    def unchanged(self) -> Mapping[Path, Job]:
        """The jobs, by their inputs, whose records alone tell that there is nothing to do.

        No pipeline is imported to find out. They have their plans.
        """
        found: dict[Path, Job] = {}
        if self.overwrite or not {*self.ignore} <= {*ASPECTS}:
            return found
        remade: dict[Path, set[str]] = defaultdict(set)
        context = ""
        with ExitStack() as planning:
            made: dict[str, QuickPlanner] = {}
            for job in self.jobs:
                folder = self.output_dir or job.input.parent
                if not self._is_recorded(job):
                    remade[folder].update(*job.makes)
                    continue
                context = context or planning.enter_context(
                    pinned_context(self.mission.observatory, self.crds_context)
                )
                planners = planners_of(job, made, partial(self._quick_planner, context))
                plans = self._plans_of(job, planners, folder, remade[folder])
                planned = replace(job, plans=tuple(plans))
                if planned.is_up_to_date:
                    found[job.input] = planned
        return found

    def up_to_date(self) -> list[Job]:
        """Find the jobs with nothing to do.

        A trial shares what others have, and is up to date where that is all. Of a single
        one with changes its own process finds out. Where no other has a record there
        is nothing to plan with, and the mission's package need not be imported for it.
        """
        if self.overwrite:
            return []
        if self.trial:
            self.jobs = with_own_members(self.jobs, self.trial)
            self.jobs = [*self.planned(sharing=True)]
            return [job for job in self.jobs if job.is_up_to_date]
        jobs: Iterable[Job] = self.unchanged.values()
        others = [job for job in self.jobs if job.input not in self.unchanged]
        if len(self.jobs) > 1 and any(self.record(job).exists() for job in others):
            jobs = self.planned() if any(job.plans is None for job in self.jobs) else self.jobs
        return [job for job in jobs if job.is_up_to_date]

    @property
    def is_unchanged(self) -> bool:
        """Whether there is nothing to do at all, as far as the records alone tell."""
        return len(self.unchanged) == len(self.jobs)

    def take(self, result: Result) -> None:
        """Add the result of an input, and report it."""
        self.results.append(result)
        report(result)

    def save_parameters(self, file: str) -> None:
        """Write the parameters that the pipeline gets for the first input, as ``strun`` does.

        Raises
        ------
        UsageError
            More than one pipeline runs.
        """
        pipelines, (job, *_) = pipelines_of(self.jobs), self.jobs
        if pipelines[1:]:
            raise UsageError(
                f"--save-parameters {file}: saves those of one pipeline, and what runs is "
                f"{', '.join(pipelines)}; choose with --pipeline or --stage"
            )
        exposure = first_exposure(str(job.input), self.output_dir or job.input.parent)
        matched, observatory = read_crds_parameters(
            self.mission.find_pipeline(pipelines[0]), exposure
        )
        with self.planner(pipelines[0], *job.beside(pipelines[0])) as planner:
            instance, _ = planner.configured(matched, observatory)
            instance.export_config(file, include_metadata=True)

    def said(self, pipeline: str) -> dict[str, Any]:
        """Give what the user says of the parameters of a pipeline: in files, or directly."""
        given = dict(self.parameters[pipeline])
        config_file = given.pop("config_file", None)
        for_all = self._said_for_all(pipeline)
        if not given and not config_file and not for_all:
            return {}
        step_class, said = self._classes.find(pipeline), new_config()
        for layer in [*file_layers(step_class, config_file, given), *for_all]:
            merge(said, layer.values)
        merge(said, given)
        return typed(said.dict(), step_class.load_spec_file())

    def _said_for_all(self, pipeline: str) -> list[Layer]:
        """Give the layers over parameter files that all its jobs have."""
        found = [job.layers.get(pipeline, ()) for job in self.jobs if pipeline in job.pipelines]
        first, *others = found or [()]
        return [
            layer for layer in first if layer.over_files and all(layer in each for each in others)
        ]

    def put_below(self, layers: Mapping[str, Layer]) -> None:
        """Put parameters below what the user gives: a layer for each input, by its name."""
        self.jobs = [
            job.over(layers[job.input.name]) if job.input.name in layers else job
            for job in self.jobs
        ]

    def record(self, job: Job) -> Path:
        """Say where the record of the first pipeline of a job is, or will be."""
        output_file = self.parameters[job.pipelines[0]].get("output_file")
        return job.record(self.output_dir or job.input.parent, output_file)

    def records(self, job: Job) -> list[Path]:
        """Say where the records of the pipelines of a job are, or will be."""
        output_file = self.parameters[job.pipelines[0]].get("output_file")
        return job.records(self.output_dir or job.input.parent, output_file)

    def given_to(self, pipeline: str, inserts: Inserts) -> dict[str, Any]:
        """Give the parameters of a pipeline that has these steps inserted."""
        return self._classes.said_to(pipeline, inserts, self.parameters[pipeline])

    def kept_after(self, pipeline: str, inserts: Inserts) -> list[str]:
        """Name the steps after which a pipeline keeps models that has these steps inserted."""
        steps = self.checkpoints[pipeline]
        others = self._classes.others(pipeline, inserts) if steps else ()
        return [step for step in steps if step.removeprefix(BEFORE) not in others]

    def planner(self, pipeline: str, between: Layers, inserts: Inserts) -> Planner:
        """Make what plans the runs of a pipeline, with these layers and steps of a job."""
        from stpipe_prefect.orchestration.plan import Planner
        from stpipe_prefect.orchestration.request import Request, given_to

        step_class = with_insertions(self.mission.find_pipeline(pipeline), inserts)
        given = self.given_to(pipeline, inserts)
        config_file = given.pop("config_file", None)
        given = given_to(step_class, given)
        request = Request(step_class, given, config_file, between=between)
        return Planner(request, self.crds_context, self.ignore, strict=self.strict)

    def _quick_planner(
        self, context: str, pipeline: str, between: Layers, inserts: Inserts
    ) -> QuickPlanner:
        about, strict = (self.mission.package, pipeline, context), self.strict
        return QuickPlanner(*about, strict=strict, between=between, insertions=inserts)

    def _is_recorded(self, job: Job) -> bool:
        """Tell whether a job has a record, and no parameters that only its class could read."""
        if not {*job.pipelines} <= {*self.mission.pipelines}:
            return False
        if any(self.parameters[name] for name in job.pipelines):
            return False
        try:
            return self.record(job).exists()
        except InputError:  # an association that became unreadable: its plan says so
            return False

    def _plans_of(
        self,
        job: Job,
        planners: Mapping[str, Planner | QuickPlanner],
        folder: Path,
        remade: set[str],
        checking: Mapping[str, Planner] | None = None,
        sharing: Sharing | None = None,
    ) -> Iterator[Plan]:
        """Plan the pipelines of one job; add to `remade` the products that these will make.

        Those in `checking` say which files are absent, and `sharing` what others have.
        """
        made: Iterable[Path] = ()
        refused = ""
        for number, name in enumerate(job.pipelines):
            data = job.input_of(number, made)
            if data is None:
                plan = Plan(job.input.name, name, (NO_PRODUCT,))
            else:
                plan = plan_of(planners[name], name, data, folder)
                if sharing:
                    plan = sharing.found(plan, name, data)
                plan = after(remade, job.reads[number:][:1], plan)
                if sharing:
                    plan = sharing.taken(plan, name, data)
            if self.overwrite and plan.reasons != (UNREADABLE,):
                plan = replace(plan, reasons=plan.reasons or ("--overwrite",), refusal="")
            elif refused:
                plan = replace(plan, refusal=f"it depends on {refused}, which is refused")
            spoilt = self._degraded & job.reads[number].keys() if job.reads[number:] else set()
            if spoilt and self.missing != "fail":
                why = f"--missing {self.missing}: {job.reads[number][min(spoilt)]} is degraded"
                plan = replace(plan, reasons=(*plan.reasons, why))
            if plan.degraded and plan.is_up_to_date:
                self._degraded.update(*job.makes[number:][:1])
            if checking and not job.needs:
                plan = checking[name].checked(plan, str(data or job.input), folder)
            yield plan
            made = plan.products
            if plan.refusal:
                refused = refused or name
            elif not plan.is_up_to_date:
                remade.update(*job.makes[number:][:1])
