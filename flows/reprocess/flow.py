"""The flow ``reprocess``: reprocesses what is stale in an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, takewhile
from pathlib import Path
from typing import Annotated
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.calibrate.campaign import Campaign
from flows.calibrate.factory import start
from flows.calibrate.job import Job
from flows.calibrate.remote import bring_related
from flows.report.page import check_page
from stpipe_prefect.exceptions import StpipePrefectError, reason
from stpipe_prefect.orchestration.artifacts import show_report
from stpipe_prefect.orchestration.deployments import DeploymentSettings, check_deployable
from stpipe_prefect.orchestration.flows import LocalFlow
from stpipe_prefect.products.names import folder_path
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.remote.scratch import planning
from stpipe_prefect.remote.urls import as_urls, is_url

from .previous import previous_products
from .summary import Summary
from .survey import Item, survey


class ReprocessError(StpipePrefectError):
    """Some stale products could not be reprocessed.

    Attributes
    ----------
    summary : Summary
    """

    def __init__(self, summary: Summary) -> None:
        first, *more = summary.failed.values()
        others = f" (and {len(more)} more)" if more else ""
        super().__init__(as_urls(f"{summary}; {first}{others}"))
        self.summary = summary


def _run_name() -> str:
    archives = _archives(flow_run.parameters["archive"])
    paths = [Path(each) if is_url(each) else folder_path(each).absolute() for each in archives]
    return "reprocess · " + ", ".join(path.name for path in paths)


def _archives(names: list[str] | None) -> list[str]:
    return names or [str(root) for root in DeploymentSettings().input_roots]


@partial(LocalFlow, name="reprocess", flow_run_name=_run_name, persist_result=False)
def reprocess(
    archive: list[str] | None = None,
    limit: Annotated[int, Field(ge=1)] | None = None,
    keep_previous: bool = False,
    crds_context: str | None = None,
    strict: bool = False,
    report: str | None = None,
) -> State[Summary]:
    """Reprocess only what newer reference files, parameters or software make stale.

    You can stop a run at any time: the next one continues.

    Args:
        archive: Folder trees with products beside the exposures, or text files that list
            exposures, or URLs of these; default: the folders that runs may read.
        limit: Reprocess at most N, in the order of programs; failures do not count.
        keep_previous: Move replaced products to a dated folder beside them.
        crds_context: CRDS context: latest, the newest operational one; build, that of the
            installed software; or a name such as jwst_1303.pmap, for its own observatory.
            Default CRDS_CONTEXT, or else latest.
        strict: Stop at a step that could not do its work (Degraded) and publish nothing of it.
        report: Write a page about all products of the archive to this file.
    """  # Prefect reads this form of docstring: it describes the fields of the run's form
    archives = _archives(archive)
    check_deployable("reprocess", archives, {"crds_context": crds_context, "report": report})
    if report:
        check_page(Path(report))
    with planning():
        summary = Summary(survey(archives, crds_context))
        _reprocess(summary, limit, strict=strict, keep_previous=keep_previous)
        if report:
            summary.write_report(report)
            show_report(report)
    if summary.failed:
        raise ReprocessError(summary)
    return Completed(message=str(summary), data=summary)


def _reprocess(summary: Summary, limit: int | None, *, strict: bool, keep_previous: bool) -> None:
    """Run what is stale, folder by folder, and show how far it is."""
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    progress = create_progress_artifact(
        summary.percent, key="reprocessed", description="Stale products reprocessed"
    )
    assert isinstance(progress, UUID)
    try:
        for (observatory, context), batches in groupby(
            _batches(summary, limit),
            key=lambda batch: (batch[0].mission.observatory, batch[0].context),
        ):
            with pinned_context(observatory, context):
                for batch in batches:
                    with previous_products(batch, date) if keep_previous else nullcontext():
                        _calibrate(batch, summary, strict)
                    update_progress_artifact(progress, summary.percent)
    finally:
        create_markdown_artifact(
            summary.markdown(), key="reprocess", description="What was stale, and why"
        )


def _batches(summary: Summary, limit: int | None) -> Iterator[list[Item]]:
    """Share out what is left by folder, up to the limit, while the summary is kept.

    An exposure brings along the association that takes its rates, whatever the limit: alone it
    would go through stage 2 by itself.
    """
    while left := summary.left:
        room = len(left) if limit is None else limit - len(summary.done)
        if room <= 0:
            return
        place = _place(left[0])
        here = [*takewhile(lambda item: _place(item) == place, left)]  # noqa: B023
        chosen = {item.input: item.job for item in here[:room]}
        yield here[:room] + [item for item in here[room:] if _takes_over(item.job, chosen)]


def _place(item: Item) -> tuple[str, Path]:
    return item.mission.observatory, item.folder


def _takes_over(job: Job, exposures: Mapping[Path, Job]) -> bool:
    """Tell whether an association has a pipeline that one of these exposures left to it."""
    needed = (exposures[path] for path in job.needs & exposures.keys())
    return any(len(each.pipelines) < len(each.handed_on) for each in needed)


def _calibrate(batch: list[Item], summary: Summary, strict: bool) -> None:
    """Run what belongs into one folder, and note what becomes of it."""
    by_name = {item.input.name: item.input for item in batch}
    try:
        first, jobs = batch[0], [item.job for item in batch]
        bring_related([*by_name.values()], first.folder)  # earlier batches may have made some
        campaign = Campaign(
            first.mission, jobs, first.folder, crds_context=first.context, strict=strict
        )
        try:
            start(campaign)
        finally:
            summary.results += campaign.results
            for result in campaign.results:
                path = by_name.pop(result.name)
                if result.failure:
                    summary.failed[path] = result.failure
                else:
                    summary.done.append(path)
                    summary.degraded += result.degraded
    except StpipePrefectError as error:
        summary.failed |= dict.fromkeys(by_name.values(), str(error))
    except Exception as error:  # the other folders are no worse for it
        message = f"{type(error).__name__}: {reason(error)}"
        summary.failed |= dict.fromkeys(by_name.values(), message)
