"""The flow ``calwebb``: each input, in a process of its own, through the pipelines it calls for."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from flows.calibrate.campaign import calibrate, campaign_name
from stpipe_prefect.orchestration.local_flow import LocalFlow

from .mission import JWST


@partial(LocalFlow, name="calwebb", flow_run_name=campaign_name, persist_result=False)
def calwebb(
    inputs: list[str],
    output_dir: str | None = None,
    pipeline: str | None = None,
    stage: int | None = None,
    crds_context: str | None = None,
    config_file: str | None = None,
    parameters: dict[str, Any] | None = None,
    overwrite: bool = False,
    ignore: list[str] | None = None,
    checkpoint: list[str] | None = None,
    jobs: Annotated[int, Field(ge=1)] | None = None,
    time_limit: Annotated[float, Field(gt=0)] | None = None,
) -> list[str]:
    """Calibrate JWST exposures, each with the pipelines its exposure type calls for.

    Args:
        inputs: Raw exposures (_uncal.fits), count rates (_rate.fits), associations (.json), or
            folders that hold them.
        output_dir: Folder for the products; default the current one, in a deployment the first that
            runs may write to.
        pipeline: Run this pipeline instead of what the exposure type calls for.
        stage: Run only this stage: 1, 2 or 3.
        crds_context: CRDS context, such as jwst_1303.pmap; default the operational one.
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
        JWST,
        inputs,
        output_dir,
        pipeline=pipeline,
        stage=stage,
        crds_context=crds_context,
        config_file=config_file,
        parameters=parameters,
        overwrite=overwrite,
        ignore=ignore,
        checkpoint=checkpoint,
        jobs=jobs,
        time_limit=time_limit,
    )
