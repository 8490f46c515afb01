"""The flow ``romancal``: each input, in a process of its own, through the pipeline it calls for."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from flows.calibrate.campaign import calibrate, campaign_name
from stpipe_prefect.orchestration.local_flow import LocalFlow

from .mission import ROMAN


@partial(LocalFlow, name="romancal", flow_run_name=campaign_name, persist_result=False)
def romancal(
    inputs: list[str],
    output_dir: str | None = None,
    pipeline: str | None = None,
    crds_context: str | None = None,
    config_file: str | None = None,
    parameters: dict[str, Any] | None = None,
    overwrite: bool = False,
    ignore: list[str] | None = None,
    checkpoint: list[str] | None = None,
    jobs: Annotated[int, Field(ge=1)] | None = None,
    time_limit: Annotated[float, Field(gt=0)] | None = None,
) -> list[str]:
    """Calibrate Roman exposures, and combine what associations name.

    Args:
        inputs: Raw exposures (_uncal.asdf), associations (.json), or folders that hold them.
        output_dir: Folder for the products; default the current one, in a deployment the first that
            runs may write to.
        pipeline: Run this pipeline instead of what the input calls for.
        crds_context: CRDS context, such as roman_0042.pmap; default the operational one.
        config_file: Parameter file, for the pipeline whose class it names.
        parameters: Parameters of the pipelines; those of their steps under "steps".
        overwrite: Run also what is up to date, and replace products that were changed since or
            that another pipeline made.
        ignore: What may be different where products are up to date: inputs, parameters,
            references, versions.
        checkpoint: Keep the models after these steps, or "all", so that a later run can resume.
        jobs: Exposures at a time; default one for each core, as far as memory allows.
        time_limit: Seconds after which the process of an exposure is killed.
    """  # Prefect reads this form of docstring: it describes the fields of the run's form
    return calibrate(
        ROMAN,
        inputs,
        output_dir,
        pipeline=pipeline,
        crds_context=crds_context,
        config_file=config_file,
        parameters=parameters,
        overwrite=overwrite,
        ignore=ignore,
        checkpoint=checkpoint,
        jobs=jobs,
        time_limit=time_limit,
    )
