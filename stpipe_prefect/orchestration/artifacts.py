"""Tables and pictures attached to a flow run, for a person to look at afterwards."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ..exceptions import reason
from ..parameters.resolution import ResolvedParameter
from ..products.quicklook import quick_look
from ..references.reference import ReferenceFile
from ..references.server import configured_server
from .brief import is_brief

P = ParamSpec("P")

logger = logging.getLogger("stpipe.products")


def _in_full_only(show: Callable[P, None]) -> Callable[P, None]:
    """Leave out in a batch what the provenance record says as well."""

    @wraps(show)
    def attach(*args: P.args, **kwargs: P.kwargs) -> None:
        if not is_brief():
            show(*args, **kwargs)

    return attach


@_in_full_only
def show_parameters(pipeline: str, parameters: Iterable[ResolvedParameter]) -> None:
    """Attach what every parameter is, where that comes from, and what it beat.

    Parameters
    ----------
    pipeline : str
        Name of the pipeline.
    parameters : iterable of ResolvedParameter
        Those of the pipeline and its steps. What differs from the code comes first.
    """
    create_table_artifact(
        key="parameters",
        table=[
            parameter.row()
            for parameter in sorted(parameters, key=lambda parameter: not parameter.is_changed)
        ],
        description=f"Parameters of {pipeline}, those first that differ from the code's",
    )


@_in_full_only
def show_references(references: Iterable[tuple[str, ReferenceFile]], context: str) -> None:
    """Attach the reference files of each step.

    Parameters
    ----------
    references : iterable of (str, ReferenceFile)
        The name of the step, and the file. Where none applies comes last.
    context : str
        The context that selected them.
    """
    server = configured_server() or "no server"
    create_table_artifact(
        key="references",
        table=[
            {
                "step": step,
                "type": file.reference_type,
                "file": file.name,
                "bytes": str(file.size) if file.sha1 else "",
                "from": file.origin,
                "sha1": file.sha1,
            }
            for step, file in sorted(references, key=lambda each: not each[1].applies)
        ],
        description=f"Best references under {context}, {server}",
    )


@_in_full_only
def show_products(products: list[Path]) -> None:
    """Attach the list of products, with their sizes."""
    create_table_artifact(
        key="products",
        table=[
            {"product": path.name, "MB": f"{path.stat().st_size / 1e6:.2f}", "in": str(path.parent)}
            for path in products
        ],
        description="Products",
    )


@_in_full_only
def show_times(steps: Iterable[Mapping[str, Any]]) -> None:
    """Attach how the time of a run is shared out among its steps, as bars."""
    rows = list(steps)
    longest = max((row["seconds"] for row in rows), default=0) or 1
    lines = [
        f"| {row['step']} | {row['outcome']} | {row['seconds']:.2f} | "
        f"{'█' * round(30 * row['seconds'] / longest)} |"
        for row in rows
    ]
    if lines:
        create_markdown_artifact(
            key="time-per-step",
            markdown="\n".join(["| step | | s | |", "|---|---|--:|---|", *lines]),
            description="Time per step",
        )


def show_quick_looks(products: Iterable[Path]) -> None:
    """Attach a small picture of each product that is an image or a spectrum."""
    for product in products:
        try:
            look = quick_look(product)
        except Exception as error:  # a picture is no reason to fail
            logger.warning("No quick look of %s: %s", product.name, reason(error))
            continue
        if look is not None:
            # An artifact of type image would spell out the whole picture beside it; one with a key
            # is stored three times: as the run's, as the latest of its key, and in an event.
            create_markdown_artifact(
                markdown=f"![{product.name}](data:image/png;base64,{b64encode(look.png).decode()})",
                description=f"Quick look: {look.caption}",
            )
