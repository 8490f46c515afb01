"""The reference files of a pipeline's steps: selected in one look-up, fetched side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect.futures import PrefectFuture

from ..references.cache import refuse_absent, sha1_of
from ..references.lookup import checked_file
from ..references.needs import further_members, read_crds_parameters, types_needed
from ..references.reference import NOT_APPLICABLE, URI_SCHEME, ReferenceFile
from ..references.selection import exposure_name, select
from . import artifacts
from .tasks import fetch, prefetch_task


class PipelineReferences:
    """What the steps of a configured pipeline, whose ``prefetch`` it takes over, get from CRDS.

    What CRDS matches on is read from the pipeline's input, unless it is known.
    """

    def __init__(
        self,
        pipeline: Any,
        context: str,
        exposure: tuple[Mapping[str, Any], str] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._context = context
        self._exposure = exposure
        self._steps = {name: getattr(pipeline, name) for name in getattr(pipeline, "step_defs", {})}
        self._selected: set[str] = set()
        self._fetching: dict[str, PrefectFuture[list[ReferenceFile]]] = {}
        self._shown: list[tuple[str, ReferenceFile]] = []
        pipeline.prefetch = self._prefetch

    def awaited_by(self, name: str, data: Any) -> list[PrefectFuture[list[ReferenceFile]]]:
        """Wait for the files of one step; give the prefetch task, for the graph.

        Where the pipeline does not fetch in advance, what the step is to work on decides.
        """
        step = self._steps.get(name, self._pipeline)
        if name not in self._selected and _asks_itself(step):
            self._fetch({name: step}, [read_crds_parameters(type(step), data)])
        awaited = [self._fetching[name]] if name in self._fetching else []
        for future in awaited:
            future.result()  # raises what stopped the prefetch, rather than "not ready"
        return awaited

    def show(self, asked: Iterable[Mapping[str, str]] = ()) -> None:
        """Attach the table of all files to the flow run, and those that steps asked for besides."""
        for step, future in self._fetching.items():
            if future.state.is_completed():
                self._shown += [(step, file) for file in future.result()]
        self._shown += [(row["step"], _asked_file(row)) for row in asked]
        if self._shown:
            artifacts.show_references(self._shown, self._context)
        self._shown = []

    def _prefetch(self, *args: Any) -> None:
        """Stand in for the pipeline's ``prefetch``: all steps that are not skipped, at once."""
        pipeline = self._pipeline
        steps = self._steps or {pipeline.name: pipeline}
        steps = {
            name: step
            for name, step in steps.items()
            if step.prefetch_references and _asks_itself(step)
        }
        first = self._exposure or read_crds_parameters(type(pipeline), args[0])
        others = [read_crds_parameters(type(pipeline), path) for path in further_members(args[0])]
        self._fetch(steps, [first, *others])
        if _precaches_itself(type(pipeline)):
            pipeline._precache_references(args[0])
        if not self._steps:
            self.awaited_by(pipeline.name, args[0])

    def _fetch(
        self, steps: Mapping[str, Any], exposures: list[tuple[Mapping[str, Any], str]]
    ) -> None:
        self._selected |= set(steps)
        wanted: dict[str, dict[tuple[str, str], ReferenceFile]] = {name: {} for name in steps}
        open_types = {name: self._open_types(name, step) for name, step in steps.items()}
        types = {kind for kinds in open_types.values() for kind in kinds}
        for number, (crds_parameters, observatory) in enumerate(exposures):
            selected = select(
                crds_parameters,
                types,
                observatory=observatory,
                context=self._context,
                required=number == 0,
            )
            for step, kinds in open_types.items():
                for file in selected:
                    if file.reference_type in kinds:
                        wanted[step].setdefault((file.reference_type, file.name), file)
            if number == 0:
                exposure = exposure_name(crds_parameters)
                for step, file in self._overrides_from_crds(steps, observatory, exposure):
                    wanted[step].setdefault((file.reference_type, file.name), file)
        refuse_absent(file for files in wanted.values() for file in files.values())
        for step, files in wanted.items():
            to_fetch = [file for file in files.values() if file.applies]
            self._shown += [(step, file) for file in files.values() if not file.applies]
            if artifacts.is_in_batch() and all(file.path.exists() for file in to_fetch):
                self._shown += [(step, file) for file in fetch(to_fetch)]
            elif to_fetch:
                self._fetching[step] = prefetch_task(step).submit(to_fetch)

    def _open_types(self, name: str, step: Any) -> list[str]:
        """List the types that CRDS decides about; what was given instead is noted."""
        types = []
        for kind, override in types_needed(step):
            if override is None:
                types.append(kind)
            elif not (isinstance(override, str) and override.startswith(URI_SCHEME)):
                self._shown.append((name, _override(kind, override)))
        return types

    def _overrides_from_crds(
        self, steps: Mapping[str, Any], observatory: str, exposure: str
    ) -> Iterator[tuple[str, ReferenceFile]]:
        for name, step in steps.items():
            for kind, override in types_needed(step):
                if isinstance(override, str) and override.startswith(URI_SCHEME):
                    file = override.removeprefix(URI_SCHEME)
                    yield name, ReferenceFile(file, kind, observatory, self._context, exposure)


def _precaches_itself(pipeline_class: type) -> bool:
    """Tell whether a mission has a way of its own to fetch references in advance."""
    owner = next(
        (each for each in pipeline_class.mro() if "_precache_references" in vars(each)), object
    )
    return owner is not object and "get_ref_override" not in vars(owner)  # as the base's have


def _asks_itself(step: Any) -> bool:
    """Tell whether a step runs, and by itself: a pipeline sees to its own steps."""
    return not step.skip and (not getattr(step, "step_defs", None))


def _asked_file(row: Mapping[str, str]) -> ReferenceFile:
    origin = "missing" if "missing" in row else "asked for by the step"
    return ReferenceFile(row["file"], row["type"], "", "", origin=origin)


def _override(kind: str, override: Any) -> ReferenceFile:
    if not isinstance(override, str):
        return ReferenceFile(type(override).__name__, kind, "", "", origin="override")
    if override in ("", NOT_APPLICABLE):
        return ReferenceFile(override, kind, "", "", origin="override")
    path = Path(checked_file(override))
    size, sha1 = path.stat().st_size, sha1_of(path)
    return ReferenceFile(override, kind, "", "", sha1=sha1, size=size, origin="override")
