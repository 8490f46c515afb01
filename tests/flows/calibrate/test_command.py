"""The command of a mission, and where it can be called."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.calibrate.command import main
from flows.calwebb.mission import JWST
from flows.reprocess import command as reprocess
from flows.romancal.mission import ROMAN

ABSENT = replace(ROMAN, package="absent", sample="absent.sample:ensure_sample")


@pytest.mark.parametrize(
    "arguments", [[], ["--plan"], ["some_uncal.asdf"], ["--pipeline=roman_elp"]]
)
def test_mission_that_is_not_installed_is_said_before_anything_needs_it(arguments, capsys):
    assert main(ABSENT, arguments) == 2
    line = "romancal: absent is not installed: pip install 'stpipe_prefect[absent]'\n"
    assert capsys.readouterr().err == line


def test_reprocessing_needs_jwst(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("flows.calwebb.mission.JWST", replace(JWST, package="absent"))
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
