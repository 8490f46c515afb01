"""The form of the pipeline with the most parameters."""

import time

from stpipe_prefect import as_flow
from stpipe_prefect.registry import find_step


def test_processor_time_of_the_largest_form(held):
    pipeline = find_step("jwst.pipeline.Spec2Pipeline")
    times = []
    for _ in range(5):
        started = time.process_time()
        as_flow(pipeline).parameters.model_dump()
        times.append(time.process_time() - started)
    held("form of calwebb_spec2", min(times) * 1e3, limit=50, unit="ms")
