"""The rules of a campaign file, as layers of parameters of the jobs they are for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.association import is_association
from stpipe_prefect.exceptions import (
    InputError,
    ParameterError,
    UsageError,
    nearest,
)
from stpipe_prefect.insertions.derived import with_insertions
from stpipe_prefect.insertions.insertion import AFTER, BEFORE, SOURCE, Insertion
from stpipe_prefect.parameters.resolution import Layer, Source
from stpipe_prefect.parameters.validation import check_parameters

from .classes import Classes
from .job import Job
from .jobs import exposures_behind, makers_of
from .mission import Mission
from .selectors import Facts, Selector

if TYPE_CHECKING:
    from .campaign_file import CampaignFile, Insert

SHOWN = 3
"""How many exposures a message names."""


class Exposures:
    """What is known of the exposures that jobs are made of, by their names.

    Parameters
    ----------
    jobs : sequence of Job
    mission : Mission
    folder : pathlib.Path
        Where members of associations are that nothing makes.
    keywords : collection of str
        What is asked about them; jobs have it as their ``facts``.
    """

    def __init__(
        self, jobs: Sequence[Job], mission: Mission, folder: Path, keywords: set[str]
    ) -> None:
        self._mission = mission
        self._folder = folder
        self._keywords = keywords
        self._jobs = jobs
        self._makers = makers_of(jobs)
        self._read: dict[Path, Facts] = {}
        self._of_associations: dict[Path, dict[str, Facts]] = {}

    @cached_property
    def all(self) -> dict[str, Facts]:
        """Everything that is known."""
        return {name: facts for job in self._jobs for name, facts in self.of(job).items()}

    def nearest_keyword(self, keyword: str) -> str:
        """Say which keyword was probably meant."""
        exposures = (job.input for job in self._jobs if not is_association(job.input))
        path = next(chain(exposures, self._read))
        return nearest(keyword.lower(), self._mission.facts(path, None))

    def of(self, job: Job) -> dict[str, Facts]:
        """Give what is known of an exposure, or of the science members of an association.

        A member is known as the exposure it is made of, or else by its own file; one that is not
        there is left out.
        """
        if not is_association(job.input):
            return {job.input.name: job.facts}
        if job.input not in self._of_associations:
            self._of_associations[job.input] = dict(self._members(job))
        return self._of_associations[job.input]

    def _members(self, job: Job) -> Iterator[tuple[str, Facts]]:
        for origin in exposures_behind(job, self._makers, self._folder):
            if isinstance(origin, Job):
                yield origin.input.name, origin.facts
                continue
            if origin not in self._read:
                with suppress(InputError):  # it is absent or broken: its plan says so
                    self._read[origin] = self._mission.facts(origin, self._keywords)
            if origin in self._read:
                yield origin.name, self._read[origin]


def with_rules(
    jobs: Sequence[Job], file: CampaignFile, mission: Mission, folder: Path
) -> list[Job]:
    """Give jobs the parameters and steps that a campaign file has for them; later ones win.

    Raises
    ------
    UsageError
        A rule is for no exposure, or only for some members of an association.
    """
    exposures = Exposures(jobs, mission, folder, file.keywords)
    layers = {job.input: dict(job.layers) for job in jobs}
    inserts: dict[Path, dict[str, tuple[Insertion, ...]]] = {job.input: {} for job in jobs}

    for number, insert in enumerate(file.inserts, start=1):
        selector, where = Selector(insert.when), f"{file}: insert[{number}].when"
        if (pipeline := insert.pipeline) is None:
            continue
        for job in selected(jobs, [pipeline], selector, where, exposures):
            others = inserts[job.input].get(pipeline, ())
            inserts[job.input][pipeline] = (*others, insertion(insert, file))
    jobs = [replace(job, inserts=inserts[job.input]) for job in jobs]
    classes = Classes(jobs)

    def put(job: Job, source: str, said: Mapping[str, Mapping[str, object]]) -> None:
        for pipeline in filter(said.get, job.pipelines):
            own = said[pipeline]
            with suppress(UsageError):  # of what is inserted: `check_rules` says what is wrong
                own = classes.said_to(pipeline, job.inserts.get(pipeline, ()), own)
            below = layers[job.input].get(pipeline, ())
            layers[job.input][pipeline] = (*below, Layer(Source(source), own, over_files=True))

    for job in jobs:
        put(job, str(file), file.parameters)
    for number, rule in enumerate(file.rules, start=1):
        selector, where = Selector(rule.when), f"{file}: for[{number}].when"
        for job in selected(jobs, rule.parameters, selector, where, exposures):
            put(job, f"{file}, for {selector}", rule.parameters)
    return [replace(job, layers=layers[job.input]) for job in jobs]


def insertion(insert: Insert, file: CampaignFile) -> Insertion:
    """Give what is to be inserted as pipelines take it."""
    where = BEFORE if insert.after is None else AFTER
    source = source_of(insert, file)
    return Insertion(insert.anchor, where, insert.step, insert.name, insert.parameters, source)


def source_of(insert: Insert, file: CampaignFile) -> str:
    """Name what gives the parameters of a step that is inserted, and which inputs it is for."""
    return f"{file}, {SOURCE}" + (f" for {Selector(insert.when)}" if insert.when else "")


def selected(
    jobs: Sequence[Job],
    pipelines: Collection[str],
    selector: Selector,
    where: str,
    exposures: Exposures,
) -> Iterator[Job]:
    """Give the jobs with one of the pipelines that a rule is for."""
    check_selector(selector, where, exposures)
    for job in jobs:
        concerned = not {*job.pipelines}.isdisjoint(pipelines)
        if concerned and (not selector.keywords or is_for(selector, where, job, exposures)):
            yield job


def is_for(selector: Selector, where: str, job: Job, exposures: Exposures) -> bool:
    """Tell whether a job is of exposures that are selected.

    Raises
    ------
    UsageError
        Only some members of its association are.
    """
    found = exposures.of(job)
    held = [name for name, facts in found.items() if selector.holds(facts)]
    others = [name for name in found if name not in held]
    if held and others:
        raise UsageError(
            f"{where}: {selector} holds for some members of {job.input.name}: {_names(held)}; not "
            f"for {_names(others)} ({selector.found(found[others[0]])})"
        )
    return bool(held)


def check_selector(selector: Selector, where: str, exposures: Exposures) -> None:
    """Refuse what holds for no exposure, or asks for a keyword that none has.

    Raises
    ------
    UsageError
    """
    if not selector.keywords or not (known := exposures.all):
        return
    for keyword in selector.keywords:
        if not any(keyword in facts for facts in known.values()):
            hint = exposures.nearest_keyword(keyword)
            raise UsageError(f"{where}.{keyword}: no exposure has such a keyword{hint}")
    if not any(map(selector.holds, known.values())):
        name, facts = next(iter(known.items()))
        raise UsageError(
            f"{where}: {selector} holds for none of {len(known)} exposures; {name} has "
            f"{selector.found(facts)}"
        )


def check_rules(file: CampaignFile, mission: Mission, jobs: Iterable[Job]) -> None:
    """Refuse parameters and steps that pipelines cannot have, for which these are imported.

    Raises
    ------
    ParameterError
        Everything that is wrong is named.
    """
    problems: list[str] = []
    for number, insert in enumerate(file.inserts, start=1):
        if insert.pipeline is not None:
            problems += _of_insert(insert, f"{file}: insert[{number}]", file, mission)
    together = {str(pair): pair for job in jobs for pair in job.inserts.items()}
    for pipeline, inserts in () if problems else together.values():
        try:
            with_insertions(mission.find_pipeline(pipeline), inserts)
        except UsageError as error:
            problems.append(f"{file}: insert: {error}")
    find = mission.find_pipeline if problems else Classes(jobs).find
    said = [("", file.parameters)]
    said += [(f"for[{each}].", rule.parameters) for each, rule in enumerate(file.rules, start=1)]
    for where, tables in said:
        for pipeline, parameters in tables.items():
            try:
                check_parameters(find(pipeline), parameters)
            except ParameterError as error:
                problems += [f"{file}: {where}{line}" for line in str(error).splitlines()]
    if problems:
        raise ParameterError("\n".join(problems))


def _of_insert(insert: Insert, where: str, file: CampaignFile, mission: Mission) -> Iterator[str]:
    """Say what is wrong with a step by itself; what it is anchored at may be inserted, too."""
    pipeline = mission.find_pipeline(str(insert.pipeline))
    alone = replace(insertion(insert, file), source=where)
    if insert.anchor not in pipeline.step_defs:
        alone = replace(alone, anchor=next(iter(pipeline.step_defs)))
    try:
        with_insertions(pipeline, [alone])
    except UsageError as error:
        for line in str(error).splitlines():
            yield line if line.startswith(where) else f"{where}: {line}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
    return ", ".join(names[:SHOWN]) + more
