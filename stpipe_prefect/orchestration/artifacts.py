"""Tables attached to a flow run, for a person to look at afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prefect.artifacts import create_table_artifact

from ..parameters.sources import ResolvedParameter
from ..references.server import configured_server


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


def show_references(references: list[dict[str, str]], context: str) -> None:
    """Attach the reference files of each step.

    Parameters
    ----------
    references : list of dict
        One for each file: ``step``, ``type``, ``file``, ``sha1``, ``bytes``, and ``from``:
        ``"cached"``, ``"fetched"`` or ``"override"``.
    context : str
        The context that selected them.
    """
    columns = ("step", "type", "file", "sha1", "bytes", "from")
    server = configured_server() or "no server"
    create_table_artifact(
        key="references",
        table=[{column: row.get(column, "") for column in columns} for row in references],
        description=f"Best references under {context}, {server}",
    )


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
