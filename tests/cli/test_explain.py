"""``python -m stpipe_prefect explain``, as a user meets it."""

import json
import os
import shutil

import pytest

from stpipe_prefect.cli.main import main

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


def damage_parameters(crds):
    path = crds / "references/jwst/nircam/jwst_nircam_pars-jumpstep_0001.asdf"
    os.truncate(path, path.stat().st_size // 2)
    return "pars-jumpstep reference: ", "jwst_nircam_pars-jumpstep_0001.asdf: not a readable param"


def lose_rules(crds):
    (crds / "mappings/jwst/jwst_nircam_gain_0001.rmap").unlink()
    return "jwst_0001.pmap cannot select references for ", "jwst_nircam_gain_0001.rmap"


@pytest.mark.filterwarnings("default::Warning")  # jwst's own
@pytest.mark.parametrize("command", ["run", "explain"])
@pytest.mark.parametrize("damage", [damage_parameters, lose_rules])
def test_damaged_cache_is_said_in_a_line_for_upstream_classes_too(
    small, tmp_path, monkeypatch, capfd, command, damage
):
    from crds.core import utils

    without = shutil.ignore_patterns(".verified")  # by earlier tests: they would find the damage
    crds = shutil.copytree(small.crds_path, tmp_path / "crds", ignore=without)
    config = crds / "config/jwst/server_config"
    config.write_text(repr(eval(config.read_text()) | {"download_metadata": {}}))
    beginning, words = damage(crds)
    for name in ("CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRDS_PATH", str(crds))
    utils.clear_function_caches()
    step = ["jwst.jump.JumpStep", str(small.program.exposures[0])]
    options = ["--log-stream=null"] if command == "run" else []
    assert main([command, *step, *options]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: {beginning}") and words in line
    utils.clear_function_caches()
