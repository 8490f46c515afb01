"""Tables attached to a flow run, for a person to look at afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from prefect.artifacts import create_table_artifact

from ..parameters.sources import ResolvedParameter


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


def show_references(references: Mapping[str, Mapping[str, str]], context: str) -> None:
    """Attach the reference file of each type, for each step.

    Parameters
    ----------
    references : mapping of str to mapping of str to str
        File names by step and type.
    context : str
        The context that selected them.
    """
    create_table_artifact(
        key="references",
        table=[
            {"step": step, "type": kind, "file": name}
            for step, files in references.items()
            for kind, name in files.items()
        ],
        description=f"Best references under {context}",
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
