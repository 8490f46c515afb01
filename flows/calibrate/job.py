"""One job of a campaign: an input, and the pipelines it goes through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpipe_prefect.association import is_association, read_association
from stpipe_prefect.execution.events import PipelineProgress
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.parameters.text import leaves
from stpipe_prefect.provenance.record import find_run
from stpipe_prefect.registry import find_step
from stpipe_prefect.remote.urls import as_urls

if TYPE_CHECKING:
    from stpipe_prefect.insertions.insertion import Insertion
    from stpipe_prefect.parameters.resolution import Layer
    from stpipe_prefect.provenance.plans import Plan

    from .selectors import Facts

    Layers = tuple[Layer, ...]
    Inserts = tuple[Insertion, ...]

Products = frozenset[str]
"""Names such as ``x_rate`` and ``x_cal``; each mission knows who makes and takes them."""


@dataclass(frozen=True)
class Job:
    """One input, and the pipelines it goes through.

    Attributes
    ----------
    input : pathlib.Path
        An exposure or association.
    pipelines : tuple of str
        Aliases, in the order they run; each takes a product of the one before.
    handed_on : tuple of str
        Suffix of the product of each pipeline that goes from there to the next; empty for what
        makes no single one.
    reads : tuple of mapping
        Products that each pipeline takes, with the names of their files.
    makes : tuple of frozenset of str
        Products that each pipeline makes.
    needs : frozenset of pathlib.Path
        Inputs of the other jobs that make what this one takes.
    layers : mapping of str to tuple of Layer
        For its pipelines: parameters over those of CRDS and below what the user gives.
    inserts : mapping of str to tuple of Insertion
        Steps inserted into its pipelines.
    own_suffixes : tuple of str
        Of products that no pipeline of the mission makes.
    facts : mapping
        What its header and name say of it, as far as a campaign's rules ask.
    plans : tuple of Plan or None
        What each pipeline has to do, and why; None before that is planned.
    """

    input: Path
    pipelines: tuple[str, ...]
    handed_on: tuple[str, ...] = ()
    reads: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    makes: tuple[Products, ...] = field(default=(), compare=False)
    needs: frozenset[Path] = field(default=frozenset(), compare=False)
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict, compare=False)
    inserts: Mapping[str, tuple[Insertion, ...]] = field(default_factory=dict, compare=False)
    own_suffixes: tuple[str, ...] = field(default=(), compare=False)
    facts: Facts = field(default_factory=dict, compare=False)
    plans: tuple[Plan, ...] | None = field(default=None, compare=False)

    @property
    def is_up_to_date(self) -> bool:
        """Whether its plans say that there is nothing to do."""
        return self.plans is not None and all(plan.is_up_to_date for plan in self.plans)

    def cached(self) -> Result:
        """Give the result of a job that is up to date: what its plans found there."""
        pipelines = [
            PipelineProgress(
                plan.pipeline,
                Outcome.CACHED,
                products=tuple(as_urls(str(path)) for path in plan.products),
                degraded=plan.degraded,
                caveats=plan.remarks,
                shared=plan.shared,
            )
            for plan in self.plans or ()
        ]
        return Result(self.input.name, Ended(Outcome.COMPLETED), tuple(pipelines))

    def files(self, folder: Path) -> list[Path]:
        """List all files it reads: the input and, of an association, members; some in `folder`."""
        is_one = is_association(self.input)
        return [self.input, *(read_association(self.input).files(folder) if is_one else ())]

    def over(self, layer: Layer) -> Job:
        """Add parameters, for each of its pipelines; the user's go over them."""
        return replace(
            self,
            layers={name: (*self.layers.get(name, ()), layer) for name in self.pipelines},
        )

    def beside(self, pipeline: str) -> tuple[Layers, Inserts]:
        """Give what a pipeline has of this job: its layers, and the steps inserted into it."""
        return self.layers.get(pipeline, ()), self.inserts.get(pipeline, ())

    def says(self, pipeline: str) -> dict[str, Mapping[str, Any]]:
        """Give the parameters of its layers, by source."""
        return {str(layer.source): layer.values for layer in self.layers.get(pipeline, ())}

    def parameter_lines(self) -> Iterator[str]:
        """Say for each source which steps it inserts, and which parameters it gives."""
        for pipeline in self.pipelines:
            for each in self.inserts.get(pipeline, ()):
                given = ", ".join(f"{name}={value}" for name, value in each.parameters.items())
                yield f"{each.source}, {pipeline}: {each.path} {each.place}{given and f': {given}'}"
            for source, values in self.says(pipeline).items():
                said = ", ".join(f"{name}={value}" for name, value in leaves(values))
                yield f"{source}, {pipeline}: {said}"

    def input_of(self, number: int, products: Iterable[Path]) -> Path | None:
        """Find what one of the pipelines takes among the products of the one before."""
        if number == 0:
            return self.input
        ending = f"_{self.handed_on[number - 1]}"
        return next((product for product in products if product.stem.endswith(ending)), None)

    def record(self, folder: Path, output_file: str | None) -> Path:
        """Say where the record of its first pipeline is, or will be."""
        return find_run(folder, self.input, _alias(self.pipelines[0]), output_file)

    def records(self, folder: Path, output_file: str | None) -> list[Path]:
        """Say where the records of its pipelines are, as far as they are named after its input."""
        found = [self.record(folder, output_file)]
        if not output_file:
            for pipeline, reads in zip(self.pipelines[1:], self.reads[1:], strict=False):
                data = folder / next(iter(reads.values()))
                found.append(find_run(folder, data, _alias(pipeline)))
        return found


def _alias(pipeline: str) -> str:
    if "::" in pipeline or "." not in pipeline:
        return pipeline.rpartition("::")[2]
    step_class = find_step(pipeline)
    return str(step_class.class_alias or step_class.__name__)
