"""All that is heavy, imported before processes are forked for exposures.

As `flows.calibrate.preload`, this does something as it is imported.
"""

import io

from stpipe_prefect.execution.garbage import imported_for_good
from stpipe_prefect.registry import registered_steps

with imported_for_good():
    import crds.jwst.locate  # noqa: F401
    import jwst.pipeline  # noqa: F401
    from stdatamodels.jwst.datamodels import ImageModel

    import flows.calibrate.preload
    import flows.calwebb.flow  # noqa: F401

    # The machinery of the data models loads its extensions when it is used first: 0.6 s.
    with ImageModel((2, 2)) as _model:
        _model.to_fits(io.BytesIO())
    registered_steps("jwst")
