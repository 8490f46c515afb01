"""A base and trials of the miniature mission."""

import sys
from contextlib import contextmanager

import pytest
from lantern.pipelines import CalibratePipeline

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from flows.trials.folders import Trial
from stpipe_prefect import as_flow

PIPELINE = "lantern.pipelines.CalibratePipeline"

_listening: list[list[str]] = []


def _note(event, arguments):
    if event == "open" and _listening and isinstance(arguments[0], str):
        _listening[-1].append(arguments[0])


sys.addaudithook(_note)  # which cannot be removed


@pytest.fixture
def opened():
    """List the files that are opened within a block."""

    @contextmanager
    def listen():
        _listening.append([])
        try:
            yield _listening[-1]
        finally:
            _listening.pop()

    return listen


@pytest.fixture
def calibrate(mission, prefect_server):
    """Calibrate the exposure of the mission into a folder, with parameters of its steps."""

    def run(folder, **steps):
        as_flow(CalibratePipeline)("one_raw.row", output_dir=str(folder), steps=steps)
        return folder

    return run


@pytest.fixture
def base(mission, calibrate):
    return calibrate(mission / "products")


@pytest.fixture
def campaign(mission):
    """Plan to calibrate the exposure as a trial, or into the base."""

    def make(trial=None, **steps):
        job = Job(mission / "one_raw.row", (PIPELINE,), makes=(frozenset({"one_cal"}),))
        folder = trial.folder if trial else mission / "products"
        return Campaign(JWST, [job], folder, given={"steps": steps}, trial=trial)

    return make


@pytest.fixture
def shared(base, campaign):
    """Make a trial that shares all with the base."""
    trial = Trial(base, "a")
    assert [job.is_up_to_date for job in campaign(trial).up_to_date()] == [True]
    return trial
