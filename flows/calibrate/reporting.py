"""The page about the results of a campaign, and what of them needs attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.paths import printable
from stpipe_prefect.remote.urls import url_of

if TYPE_CHECKING:
    from stpipe_prefect.exceptions import StpipePrefectError

    from .campaign import Campaign


def refused_result(path: Path, error: StpipePrefectError) -> Result:
    """Give the result of an input that cannot be calibrated."""
    ended = Ended(Outcome.FAILED, str(error), error.exit_code, is_explained=True)
    return Result(printable(path.name), ended)


def write_report(campaign: Campaign) -> None:
    """Write the page, if one is asked for."""
    if campaign.report:
        from flows.report.page import write_report

        left_out = [refused_result(path, error) for path, error in campaign.left_out.items()]
        write_report(Path(campaign.report), _folders(campaign), [*left_out, *campaign.results])


def attention_of(campaign: Campaign) -> list[tuple[str, str]]:
    """Give what needs attention among the results of several inputs: the kind, and a line."""
    from flows.report.page import attention_lines

    results = campaign.results
    return attention_lines(_folders(campaign), results) if len(results) > 1 else []


def _folders(campaign: Campaign) -> list[Path]:
    """List where products go, as far as there is such a folder here."""
    named = [campaign.output_dir or job.input.parent for job in campaign.jobs]
    return [folder for folder in dict.fromkeys(named) if folder.is_dir() and not url_of(folder)]
