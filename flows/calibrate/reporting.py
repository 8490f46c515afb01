"""The page about the results of a campaign, and what of them needs attention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.paths import printable
from stpipe_prefect.remote.products import bring_reported
from stpipe_prefect.remote.urls import url_of

if TYPE_CHECKING:
    from stpipe_prefect.exceptions import StpipePrefectError

    from .campaign import Campaign
    from .specification import Specification


def refused_result(path: Path, error: StpipePrefectError) -> Result:
    """Give the result of an input that cannot be calibrated."""
    ended = Ended(Outcome.FAILED, str(error), error.exit_code, is_explained=True)
    return Result(printable(path.name), ended)


def write_report(campaign: Campaign) -> None:
    """Write the page, if one is asked for."""
    if campaign.report:
        _write(campaign.report, _folders(campaign), campaign.left_out, campaign.results)


def write_refusals(wanted: Specification, refused: Mapping[Path, StpipePrefectError]) -> None:
    """Write the page where every input is refused, if one is asked for."""
    if wanted.report:
        _write(wanted.report, [wanted.output_dir], refused, [])


def attention_of(campaign: Campaign) -> list[tuple[str, str]]:
    """Give what needs attention among the results of several inputs: the kind, and a line."""
    results = campaign.results
    return attention(_folders(campaign), results) if len(results) > 1 else []


def attention(folders: Iterable[Path], results: Sequence[Result]) -> list[tuple[str, str]]:
    """Give what needs attention of results with products in folders; not of those in a store."""
    from flows.report.page import attention_lines

    return attention_lines(reported_folders(f for f in folders if not url_of(f)), results)


def _write(
    report: str,
    folders: Iterable[Path],
    refused: Mapping[Path, StpipePrefectError],
    results: Sequence[Result],
) -> None:
    from flows.report.page import write_report

    left_out = [refused_result(path, error) for path, error in refused.items()]
    write_report(Path(report), reported_folders(folders), [*left_out, *results])


def reported_folders(folders: Iterable[Path]) -> list[Path]:
    """List those folders, each once, that are there; of a store, with what a report reads."""
    every = dict.fromkeys(folders)
    for folder in filter(url_of, every):
        bring_reported(folder)
    return [folder for folder in every if folder.is_dir()]


def _folders(campaign: Campaign) -> list[Path]:
    """List where products go."""
    return [campaign.output_dir] if campaign.output_dir else [j.input.parent for j in campaign.jobs]
