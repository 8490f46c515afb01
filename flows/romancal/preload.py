"""All that is heavy, imported before processes are forked for exposures.

As `flows.calibrate.preload`, this does something as it is imported.
"""

from stpipe_prefect.execution.garbage import imported_for_good
from stpipe_prefect.registry import registered_steps

with imported_for_good():
    import romancal.pipeline  # noqa: F401

    import flows.calibrate.preload
    import flows.romancal.flow  # noqa: F401

    registered_steps("romancal")
