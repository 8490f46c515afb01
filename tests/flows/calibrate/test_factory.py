"""The flow of a mission."""

import pytest
from prefect.utilities.callables import parameter_schema

from flows.calibrate.campaign import Campaign
from flows.calibrate.factory import CampaignError, inputs_shown
from flows.calibrate.job import Job
from flows.calwebb.flow import calwebb
from flows.calwebb.mission import JWST
from flows.romancal.flow import romancal
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome


def test_error_of_many_failures_names_some_and_counts_the_others():
    failed = Ended(Outcome.FAILED, "cut short", 1)
    error = CampaignError([Result(f"{number}.fits", failed) for number in range(2000)])
    assert str(error).startswith("2000 of 2000 failed: 0.fits: cut short; 1.fits: cut short; ")
    assert str(error).endswith("9.fits: cut short (and 1990 more)")
    assert len(error.results) == 2000


def test_flow_run_of_many_inputs_shows_their_folders(tmp_path):
    paths = [tmp_path / f"night{number % 3}" / f"{number}_uncal.fits" for number in range(6000)]
    few, many = (Campaign(JWST, [Job(path, ()) for path in some]) for some in (paths[:9], paths))
    assert inputs_shown(few) == [str(path) for path in paths[:9]]
    assert inputs_shown(many) == [str(tmp_path / f"night{number}") for number in range(3)]


def test_run_of_a_deployment_takes_no_class_path(monkeypatch):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    with pytest.raises(
        ParameterError, match=r"pipeline mine\.AnyStep: a deployment takes no paths"
    ):
        calwebb.fn([], pipeline="mine.AnyStep")


def test_run_of_a_deployment_reads_no_pool_but_from_folders_that_are_allowed(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", f'["{tmp_path}"]')
    with pytest.raises(ParameterError, match=r"/etc/passwd' is not below"):
        calwebb.fn([str(tmp_path)], associate=[], pool="/etc/passwd")


@pytest.mark.parametrize(("flow", "has_stages"), [(calwebb, True), (romancal, False)])
def test_form_describes_every_field_and_has_stages_where_the_mission_has(flow, has_stages):
    fields = parameter_schema(flow.fn).properties
    assert ("stage" in fields) is has_stages
    assert list(fields)[:3] == ["inputs", "output_dir", "pipeline"]
    assert all(field["description"] for field in fields.values())
    assert flow.description.startswith("Calibrate ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('inputs = ["/etc/hosts"]', r"input = '/etc/hosts' is not below"),
        ('inputs = ["."]\noutput = "/elsewhere"', r"output_dir = '/elsewhere' is not below"),
        ('inputs = ["."]\nassociate = {pool = "/etc/pool.csv"}', r"'/etc/pool\.csv' is not below"),
        ('inputs = ["."]\n[calwebb_detector1]\npre_hooks = ["rm"]', r"pre_hooks is not allowed"),
        (
            'inputs = ["."]\n[[for]]\nwhen = {filter = "F1"}\n'
            'calwebb_image2.steps.flat_field.override_flat = "/etc/x"',
            r"override_flat is not allowed",
        ),
        ('inputs = ["."]\n[calwebb_image2]\nconfig_file = "x.asdf"', r"config_file is not allowed"),
        ('inputs = ["."]\npipeline = "mine.Any"', r"mine\.Any is not allowed in a deployment"),
        (
            'inputs = ["."]\n[[insert]]\npipeline = "calwebb_detector1"\nafter = "jump"\n'
            'step = "mine.Any"',
            r"mine\.Any is not allowed in a deployment",
        ),
    ],
)
def test_campaign_file_of_a_deployment_says_only_what_is_allowed(
    monkeypatch, tmp_path, text, problem
):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    for roots in ("INPUT_ROOTS", "OUTPUT_ROOTS"):
        monkeypatch.setenv(f"STPIPE_PREFECT_{roots}", str(tmp_path))
    (tmp_path / "a_uncal.fits").touch()
    file = tmp_path / "campaign.toml"
    file.write_text(text.replace("", ""))
    with pytest.raises(ParameterError, match=problem):
        calwebb.fn([str(file)])


def test_campaign_file_of_a_deployment_is_in_folders_that_are_allowed(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", str(tmp_path / "raw"))
    with pytest.raises(ParameterError, match=r"campaign\.toml' is not below"):
        calwebb.fn([str(tmp_path / "campaign.toml")])
