"""``python -m stpipe_prefect explain``, as a user meets it."""

import json

import pytest

from stpipe_prefect.cli import main

CALIBRATE = ("explain", "lantern.pipelines.CalibratePipeline", "one_raw.row")


@pytest.fixture
def explain(mission, capsys):
    def explain(*argv):
        status = main([*CALIBRATE, *argv])
        shown = capsys.readouterr()
        assert status == 0, shown.err
        return shown.out

    return explain


def test_table(explain, mission):
    before = sorted(mission.iterdir())
    lines = [line.split() for line in explain().splitlines()]
    assert lines[0] == ["step", "parameter", "value", "source"]
    assert ["clip", "low", "1.0", "pipeline", "code"] in lines
    assert sorted(mission.iterdir()) == before


def test_changed_only(explain):
    shown = explain("--changed", "--steps.dark.scale=2")
    assert "command line" in shown and "CRDS step file" in shown
    assert "inverse" not in shown and "output_ext" not in shown


def test_history(explain):
    shown = explain("--changed", "--history").splitlines()
    at = next(n for n, line in enumerate(shown) if line.split()[:2] == ["clip", "high"])
    assert "CRDS pipeline file" in shown[at]
    assert shown[at + 1].split()[0] == "40.0" and "CRDS step file" in shown[at + 1]
    assert shown[at + 2].split() == ["100.0", "step", "code"]


def test_json(explain):
    entries = json.loads(explain("--json"))
    (high,) = (each for each in entries if (each["step"], each["parameter"]) == ("clip", "high"))
    assert high["value"] == 30.0
    assert [each["value"] for each in high["history"]] == [100.0, 40.0]
    assert high["source"].startswith("CRDS pipeline file ")


def test_wrong_request_is_refused_as_by_run(mission, capsys):
    argv = [*CALIBRATE[1:], "--steps.clip.high=x"]
    assert main(["explain", *argv]) == 2
    explained = capsys.readouterr().err
    assert explained == (
        "error: lantern_calibrate: steps.clip.high = 'x' is not allowed: "
        "expected float(default=100.0)\n"
    )
    assert main(["explain"]) == 2
