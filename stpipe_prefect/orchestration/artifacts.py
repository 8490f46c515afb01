"""Tables attached to a flow run, for a person to look at afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import create_table_artifact


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


def _flat(parameters: Mapping[str, Any], step: str = "") -> Iterator[tuple[str, str, Any]]:
    for name, value in parameters.items():
        if name == "steps":
            for sub_step, sub_parameters in value.items():
                yield from _flat(sub_parameters, f"{step}.{sub_step}".lstrip("."))
        else:
            yield step, name, value
