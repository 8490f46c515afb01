"""A mission in miniature runs the same through every door."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import DarkStep

PARAMETERS = {"post_hooks": ["lantern.steps.look", "touch seen_by_hook"], "skip": False}
CONFIG = """
class = {cls}
[steps]
[[clip]]
high = 60
post_hooks = lantern.steps.double,
"""


def by_call(step_class, data, out):
    return step_class.call(
        data,
        config_file="pars.cfg",
        output_dir=str(out),
        save_results=True,
        configure_log=False,
        **PARAMETERS,
    )


def by_run(step_class, data, out):
    config, config_file = step_class.build_config(
        data, config_file="pars.cfg", output_dir=str(out), save_results=True, **PARAMETERS
    )
    return step_class.from_config_section(config, config_file=config_file).run(data)


def by_command_line(step_class, data, out):
    hooks = f"--post_hooks={','.join(PARAMETERS['post_hooks'])}"
    run("stpipe_prefect", "run", "pars.cfg", data, f"--output_dir={out}", hooks)


AS_FLOW = """
import json, sys
from stpipe_prefect import as_flow

name, data, out, parameters = sys.argv[1:]
as_flow(name)(data, output_dir=out, config_file="pars.cfg", **json.loads(parameters))
"""


def by_flow(step_class, data, out):
    name = f"{step_class.__module__}.{step_class.__name__}"
    run("run_code", AS_FLOW, name, data, out, json.dumps(PARAMETERS))


def run(*arguments):
    command = [sys.executable, "-m", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture
def mission(mission, user, monkeypatch):
    """The mission in miniature, to a user."""
    for name, value in user.items():
        monkeypatch.setenv(name, value)
    return mission


def test_commands_are_forked_from_the_warm_process(mission):
    """Else the tests take minutes longer, and nothing says so."""
    parent = run("run_code", "import os; print(os.getppid())").strip()
    assert f"warm process {parent} " in run("stpipe_prefect", "warm", "--status")


@pytest.mark.parametrize(
    ("step_class", "data", "names"),
    [
        (CalibratePipeline, "one_raw.row", ["one_cal.row"]),
        (NightPipeline, "all.night", ["all_0_sum.row", "all_1_sum.row", "all_2_sum.row"]),
    ],
)
def test_every_door_leads_to_the_same_products(mission, step_class, data, names):
    Row([2.0, 20.0, 30.0, 40.0], detector="NRCB2").save("two_raw.row")
    Path("all.night").write_text("one_raw.row\ntwo_raw.row\n")
    Path("pars.cfg").write_text(CONFIG.format(cls=f"{step_class.__module__}.{step_class.__name__}"))
    made = {}
    for door in (by_call, by_run, by_command_line, by_flow):
        door(step_class, data, mission / door.__name__)
        folder = mission / door.__name__
        made[door.__name__] = {path.name: path.read_bytes() for path in folder.glob("*.row")}
        Path("seen_by_hook").unlink()
    assert sorted(made["by_call"]) == names
    assert all(products == made["by_call"] for products in made.values())
    first = Row.open(mission / "by_call" / names[0])
    assert first.meta.references["dark"] == "crds://jwst_nircam_dark_0001.json"


def test_values_are_those_of_all_layers(mission):
    Path("pars.cfg").write_text(CONFIG.format(cls="lantern.pipelines.CalibratePipeline"))
    row = by_run(CalibratePipeline, "one_raw.row", mission / "out")
    # (1, 10, 50, 100), less the dark of 1, over the flat of 2; below 1 (the pipeline's) or
    # above 60 (the file's) zero (says CRDS); doubled by the hook.
    assert row.data == [0.0, 9.0, 49.0, 99.0]


def test_a_single_step_likewise(mission):
    Path("pars.cfg").write_text("class = lantern.steps.DarkStep\nscale = 2\n")
    for door in (by_call, by_run, by_command_line):
        door(DarkStep, "one_raw.row", mission / door.__name__)
        assert Row.open(mission / door.__name__ / "one_darkstep.row").data == [
            -1.0,
            8.0,
            48.0,
            98.0,
        ]
