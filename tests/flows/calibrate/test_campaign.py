"""The flow of a mission."""

from inspect import signature

import pytest

from flows.calibrate.campaign import CampaignError, calibrate
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.execution.processes import Ended
from stpipe_prefect.execution.results import Result
from stpipe_prefect.outcomes import Outcome


def test_error_of_many_failures_names_some_and_counts_the_others():
    failed = Ended(Outcome.FAILED, "cut short", 1)
    error = CampaignError([Result(f"{number}.fits", failed) for number in range(2000)])
    assert str(error).startswith("2000 of 2000 failed: 0.fits: cut short; 1.fits: cut short; ")
    assert str(error).endswith("9.fits: cut short (and 1990 more)")
    assert len(error.results) == 2000


def test_run_of_a_deployment_takes_no_class_path(monkeypatch):
    monkeypatch.setattr("flows.calibrate.campaign.in_deployment", lambda: True)
    names = set(signature(calibrate).parameters) - {"mission", "inputs", "output_dir", "stage"}
    given = dict.fromkeys(names) | {"pipeline": "mine.AnyStep", "overwrite": False}
    with pytest.raises(
        ParameterError, match=r"pipeline mine\.AnyStep: a deployment takes no paths"
    ):
        calibrate(JWST, [], None, **given)
