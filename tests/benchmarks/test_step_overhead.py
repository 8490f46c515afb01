"""What a step costs that does nothing, beside upstream's, with jwst's modules in memory."""

import logging
import statistics
import time

import jwst.pipeline  # noqa: F401 - what collecting garbage costs depends on it
import pytest
import stpipe

import stpipe_prefect


def _noop(base):
    class NoopStep(base):
        spec = """
        output_ext = string(default='.fits')
        """
        _log_records_formatter = logging.Formatter("%(message)s")

        @staticmethod
        def get_stpipe_loggers():
            return ("jwst", "stcal", "stdatamodels", "stpipe", "tweakwcs", "CRDS", "py.warnings")

        def process(self, *args):
            return None

    return NoopStep()


def _milliseconds(step, times):
    step.run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step.run()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


@pytest.mark.parametrize("level", ["WARNING", "INFO"])
def test_a_step_that_does_nothing_takes_less_than_a_millisecond(level, capsys):
    logger = logging.getLogger("stpipe")
    logger.setLevel(level)
    try:
        ours = _milliseconds(_noop(stpipe_prefect.Step), 200)
        theirs = _milliseconds(_noop(stpipe.Step), 10)
    finally:
        logger.setLevel(logging.NOTSET)
    with capsys.disabled():
        print(
            f"\nno-op Step.run, logging {level}: {ours:.3f} ms, upstream {theirs:.0f} ms, "
            f"{theirs / ours:.0f} times less"
        )
    assert ours < 1.0
    assert theirs > ours
