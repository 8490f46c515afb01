"""The classes of the pipelines of a campaign, with the steps that are inserted into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from stpipe_prefect.insertions.derived import inserted_in, with_insertions
from stpipe_prefect.registry import find_step

if TYPE_CHECKING:
    from stpipe_prefect.insertions.insertion import Insertion

    from .job import Job


class Classes:
    """Finds them; each has what is inserted for any of the jobs, so that parameters can name it."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._inserts: dict[str, dict[object, Insertion]] = {}
        for job in jobs:
            for pipeline, inserts in job.inserts.items():
                known = self._inserts.setdefault(pipeline, {})
                known |= {_step(each): each for each in inserts}
        self.find = cache(self._find)

    def _find(self, pipeline: str) -> Any:
        inserts = self._inserts.get(pipeline, {})
        return with_insertions(find_step(pipeline), [*inserts.values()])

    def said_to(
        self, pipeline: str, inserts: Iterable[Insertion], said: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Leave out the parameters of steps that are inserted for other jobs only."""
        if not isinstance(steps := said.get("steps"), Mapping) or not self._inserts.get(pipeline):
            return {**said}
        others = self.others(pipeline, inserts)
        kept = {name: values for name, values in steps.items() if name not in others}
        return {**said, "steps": kept}

    def others(self, pipeline: str, inserts: Iterable[Insertion]) -> set[str]:
        """Name the steps that are inserted into a pipeline, but not these."""
        own = {_step(each) for each in inserts}
        inserted = inserted_in(self.find(pipeline)) if self._inserts.get(pipeline) else ()
        return {each.name for each in inserted if _step(each.insertion) not in own}


def _step(insertion: Insertion) -> object:
    """Tell insertions apart, whatever their parameters."""
    return insertion.anchor, insertion.where, insertion.path, insertion.name
