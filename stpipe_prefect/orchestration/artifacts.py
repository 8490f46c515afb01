"""Tables attached to a flow run, for a person to look at afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import create_table_artifact

from ..references.server import configured_server


def show_parameters(pipeline: Any) -> None:
    """Attach the resolved parameters of a pipeline and its steps.

    Parameters
    ----------
    pipeline : Step
        A configured instance; ``get_pars()`` is what it will run with.
    """
    create_table_artifact(
        key="parameters",
        table=[
            {"step": step, "parameter": name, "value": str(value)}
            for step, name, value in _flat(pipeline.get_pars())
        ],
        description=f"Resolved parameters of {pipeline.name}",
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


def _flat(parameters: Mapping[str, Any], step: str = "") -> Iterator[tuple[str, str, Any]]:
    for name, value in parameters.items():
        if name == "steps":
            for sub_step, sub_parameters in value.items():
                yield from _flat(sub_parameters, f"{step}.{sub_step}".lstrip("."))
        else:
            yield step, name, value
