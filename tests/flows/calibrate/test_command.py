"""The command of a mission, and where it can be called."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.calibrate.command import main
from flows.calibrate.job import Job
from flows.calibrate.options import parser
from flows.calwebb.mission import JWST
from flows.reprocess import main as reprocess
from flows.romancal.mission import ROMAN
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.parameters.files import read_parameter_file

ABSENT = replace(ROMAN, package="absent", sample="absent.sample:ensure_sample")


@pytest.mark.parametrize(
    "arguments", [[], ["--plan"], ["some_uncal.asdf"], ["--pipeline=roman_elp"]]
)
def test_mission_that_is_not_installed_is_said_before_anything_needs_it(arguments, capsys):
    assert main(ABSENT, arguments) == 2
    line = "romancal: absent is not installed: pip install 'stpipe_prefect[absent]'\n"
    assert capsys.readouterr().err == line


def test_reprocessing_needs_the_package_of_what_is_in_the_archive(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("flows.reprocess.archive.MISSIONS", (replace(JWST, package="absent"),))
    (tmp_path / "jw1_uncal.fits").touch()
    assert reprocess.main([str(tmp_path), "--plan"]) == 2
    assert "absent is not installed: pip install" in capsys.readouterr().err


def test_flows_of_the_current_folder_can_be_passed_over(tmp_path):
    """As docs/cli.md says: it is Python that puts the current folder first."""
    (tmp_path / "flows.py").touch()
    root = Path(__file__).parents[3]
    for options, code in ((["-P"], 0), ([], 1)):
        done = subprocess.run(
            [sys.executable, *options, "-m", "flows.calwebb", "--help"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr


CALIBRATE = "lantern.pipelines.CalibratePipeline"


@pytest.fixture
def lantern(mission):
    """A mission whose command takes the exposures of the miniature one."""

    def job_for(path, *, pipeline, **_):
        return Job(path, (pipeline,), reads=({path.stem: path.name},), makes=(frozenset(),))

    return replace(JWST, job_for=job_for)


@pytest.mark.parametrize("pipeline", [CALIBRATE, "pars.cfg", "lantern.steps.ClipStep"])
def test_pipeline_is_any_class_or_a_parameter_file_that_names_one(lantern, capsys, pipeline):
    Path("pars.cfg").write_text(f"class = {CALIBRATE}\n")
    assert main(lantern, ["one_raw.row", "--plan", "--json", "--pipeline", pipeline]) == 0
    (plan,) = json.loads(capsys.readouterr().out)
    assert plan["pipeline"] == ("clip" if "Clip" in pipeline else "lantern_calibrate")
    assert plan["reasons"] == ["no product"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("calwebb_image2", "calwebb_image2"), ("extract_1d", "jwst::extract_1d"), ("a.B", "a.B")],
)
def test_pipeline_by_alias(name, found):
    assert parser(JWST).parse([f"--pipeline={name}"])[0].pipeline == found


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--pipeline=lantern.steps.ClapStep"], "has no class 'ClapStep' (did you mean 'ClipS"),
        (["--pipeline=calwebb_detector"], "(did you mean 'calwebb_detector1'?); choose from"),
        (["--pipeline=any.cfg"], "--pipeline any.cfg: names no class"),
        (["--pipeline=any.cfg", "--config-file=x"], "is a parameter file: leave --config-file"),
        (["--pipeline=lantern.steps.ClipStep", "--steps.a.b=1"], "no parameter 'steps.a.b'"),
    ],
)
def test_other_pipelines_are_refused(lantern, capsys, arguments, problem):
    Path("any.cfg").touch()
    assert main(lantern, ["one_raw.row", "--plan", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line


def test_parameters_are_saved_as_the_pipeline_gets_them(lantern, capsys):
    options = ["--plan", f"--pipeline={CALIBRATE}", "--save-parameters=saved.asdf"]
    assert main(lantern, ["one_raw.row", *options, "--steps.dark.scale=3.5"]) == 0
    assert read_parameter_file(Path("saved.asdf")).parameters["steps"]["dark"]["scale"] == 3.5


def test_parameters_of_several_pipelines_are_not_saved_into_one_file(lantern, capsys):
    def job_for(path, **_):
        return Job(
            path, (CALIBRATE, "lantern.steps.ClipStep"), reads=({}, {}), makes=(frozenset(),) * 2
        )

    options = ["--plan", "--save-parameters=saved.asdf"]
    assert main(replace(lantern, job_for=job_for), ["one_raw.row", *options]) == 2
    assert "saves those of one pipeline, and what runs is lantern." in capsys.readouterr().err


def test_log_level_that_is_none_is_refused(capsys):
    assert main(JWST, ["--log-level=LOUD"]) == 2
    assert "there is no 'LOUD'; choose from DEBUG, INFO" in capsys.readouterr().err


def test_parameters_from_crds_are_switched_off(mission, capsys):
    def job_for(path, **_):
        raise UsageError(os.environ.get("STPIPE_DISABLE_CRDS_STEPPARS", "asked"))

    for option, said in (["--disable-crds-steppars"], "true"), ([], "asked"):
        assert main(replace(JWST, job_for=job_for), ["one_raw.row", *option]) == 2
        assert capsys.readouterr().err == f"calwebb: {said}\n"
