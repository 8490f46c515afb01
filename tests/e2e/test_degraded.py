"""Steps that cannot do their work: every place in the missions' code, and some brought about."""

import ast
import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

SITES = {
    "jwst": {
        ("adaptive_trace_model/adaptive_trace_model_step.py", "adaptive_trace_model"): 1,
        ("assign_mtwcs/assign_mtwcs_step.py", "assign_mtwcs"): 1,
        ("assign_mtwcs/moving_target_wcs.py", "assign_mtwcs"): 1,
        ("background/background_sub_wfss.py", "bkg_subtract"): 3,
        ("clean_flicker_noise/clean_flicker_noise_step.py", "clean_flicker_noise"): 3,
        ("cube_build/cube_build_step.py", "cube_build"): 1,
        ("dark_current/dark_current_step.py", "dark_sub"): 1,
        ("master_background/master_background_mos_step.py", "master_background"): 3,
        ("master_background/master_background_step.py", "master_background"): 3,
        ("outlier_detection/ifu.py", "outlier_detection"): 1,
        ("outlier_detection/imaging.py", "outlier_detection"): 1,
        ("outlier_detection/outlier_detection_step.py", "outlier_detection"): 2,
        ("outlier_detection/spec.py", "outlier_detection"): 1,
        ("persistence/persistence_step.py", "persistence"): 1,
        ("picture_frame/picture_frame_step.py", "picture_frame"): 1,
        ("pipeline/calwebb_tso3.py", "adaptive_trace_model"): 1,
        ("pipeline/calwebb_tso3.py", "pixel_replace"): 1,
        ("pixel_replace/pixel_replace_step.py", "pixel_replace"): 2,
        ("skymatch/skymatch_step.py", "skymatch"): 1,
        ("stpipe/utilities.py", "cal_step"): 3,
        ("tweakreg/tweakreg_step.py", "tweakreg"): 3,
    },
    "romancal": {
        ("dq_init/dq_initialization.py", "step_name"): 1,
        ("ramp_fitting/ramp_fit_step.py", "step_name"): 1,
        ("skymatch/skymatch_step.py", "skymatch"): 1,
        ("tweakreg/tweakreg_step.py", "tweakreg"): 1,
    },
}
"""Where the installed packages can set a status to ``FAILED``, and how often."""


@pytest.mark.parametrize("package", SITES)
def test_every_place_that_can_say_failed_is_known(package):
    root = Path(find_spec(package).submodule_search_locations[0])
    found = Counter()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if not {"tests", "regtest"}.intersection(name.parts) and name.stem != "conftest":
            found.update((name.as_posix(), status) for status in statuses_set(path.read_text()))
    assert dict(found) == SITES[package]


def statuses_set(text):
    """Name the statuses that code may set to ``FAILED``: to what is not a constant counts, too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record_step_status":
            _, name, *positional = node.args
            given = dict(zip(("success", "status"), positional, strict=False))
            given |= {word.arg: word.value for word in node.keywords}
            success, status = given.get("success"), given.get("status")
            if may_be(status, "FAILED") if status is not None else may_be(success, False):
                yield name.value if isinstance(name, ast.Constant) else ast.unparse(name)
        if isinstance(node, ast.Assign) and may_be(node.value, "FAILED"):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and is_cal_step(target.value):
                    yield target.attr
                if isinstance(target, ast.Subscript) and is_cal_step(target.value):
                    yield ast.unparse(target.slice)


def may_be(node, value):
    if node is None or isinstance(node, ast.Constant):
        return node is not None and node.value == value
    return True


def is_cal_step(node):
    return getattr(node, "attr", "") == "cal_step" or "cal_step" in ast.unparse(node)


PERSISTENCE = "persistence: Persistence step failed due to invalid persistence_time."
SPOILED = (
    "--steps.persistence.skip=false",
    "--steps.persistence.persistence_time=-1",
    "--steps.tweakreg.snr_threshold=1e6",
)


@pytest.fixture(scope="module")
def environment(user, small):
    return user | {"CRDS_PATH": str(small.crds_path)}


@pytest.fixture(scope="module")
def python(environment):
    """Run a module in a folder; gives what ended."""

    def run(folder, *arguments):
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def degraded(small, python, tmp_path_factory):
    """Run two exposures and their association, spoiled; gives what is said and made."""
    folder = tmp_path_factory.mktemp("degraded")
    files = [*small.program.exposures, small.program.association]
    done = python(folder, "flows.calwebb", *files, *SPOILED, "--output-dir", "out")
    assert done.returncode == 0, done.stderr
    return done, folder / "out"


def test_command_says_so_in_a_line_each_and_ends_well(degraded, small):
    done, _ = degraded
    lines = done.stderr.splitlines()
    names = [path.name for path in small.program.exposures]
    expected = [f"calwebb: degraded: {name}: calwebb_detector1, {PERSISTENCE}" for name in names]
    assert sorted(lines)[1:] == sorted(expected)
    (tweakreg,) = (line for line in lines if line not in expected)
    assert "calwebb_image3, tweakreg: " in tweakreg
    assert "empty source catalog" in tweakreg
    assert done.stdout.count("\ndegr ") + done.stdout.startswith("degr ") == 3


def test_records_say_so_and_those_of_what_is_made_from_it(degraded):
    _, folder = degraded
    by_pipeline = {}
    for path in folder.glob("*.provenance.json"):
        by_pipeline[path.name.split(".")[-3]] = json.loads(path.read_text())
    first, second, third = (by_pipeline[f"calwebb_{n}"] for n in ("detector1", "image2", "image3"))
    assert [each["run"]["outcome"] for each in (first, second, third)] == [
        "Degraded",
        "Completed",
        "Degraded",
    ]
    (step,) = (row for row in first["steps"] if row["outcome"] == "Degraded")
    assert f"{step['step']}: {step['reason']}" == PERSISTENCE
    (caveat,) = second["caveats"]
    assert (caveat["caveat"], caveat["reason"]) == ("degraded input", PERSISTENCE)
    assert caveat["input"].endswith("_rate.fits")
    inputs = {row["input"][-9:] for row in third["caveats"] if row["caveat"] == "degraded input"}
    assert inputs == {"_cal.fits"}


def test_server_shows_it(degraded, environment):
    api = environment["PREFECT_API_URL"]
    named = {"state": {"name": {"any_": ["Degraded"]}}}
    runs = httpx.post(f"{api}/flow_runs/filter", json={"flow_runs": named}, timeout=60).json()
    tasks = httpx.post(f"{api}/task_runs/filter", json={"task_runs": named}, timeout=60).json()
    messages = [run["state"]["message"] for run in runs]
    assert sum(PERSISTENCE in message for message in messages) == 2
    assert any("tweakreg" in message for message in messages)
    assert {"persistence", "tweakreg"} & {task["name"].partition("-")[0] for task in tasks}


HERE = ("--output-dir", ".")
ALONE = {
    "jwst::master_background": "cannot be handled without user-supplied background",
    "jwst::assign_mtwcs": "Input data type is not supported.",
    "jwst::adaptive_trace_model": "not implemented for datamodel type",
}
ALONE_AS_FLOWS = """
import json, sys
from pathlib import Path
from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import DegradedError

found = {}
cal, *alone = sys.argv[1:]
for step in alone:
    flow = as_flow(step)
    state = flow(cal, output_dir="made", skip=False, return_state=True)
    try:
        flow(cal, output_dir="strict", skip=False, strict=True)
    except DegradedError as error:
        strict = str(error)
    found[step] = [state.name, state.message, strict]
found["left"] = [path.name for path in Path("strict").iterdir()]
Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def unchanged(degraded):
    """Whatever is done afterwards leaves the products as they are."""
    _, folder = degraded

    def times():
        return {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    before = times()
    yield folder
    assert times() == before


def test_plan_says_it(python, small, unchanged):
    files = [*small.program.exposures, small.program.association]
    done = python(unchanged, "flows.calwebb", *files, *SPOILED, "--plan", "--json", *HERE)
    plans = json.loads(done.stdout)
    assert done.returncode == 0
    assert all(plan["up_to_date"] for plan in plans)
    assert [plan["degraded"] for plan in plans if plan["pipeline"].endswith("r1")] == [
        [PERSISTENCE],
        [PERSISTENCE],
    ]


def test_strict_run_stops_there(python, small, unchanged):
    strictly = (*SPOILED[:2], "--stage=1", "--strict", *HERE)
    done = python(unchanged, "flows.calwebb", small.program.exposures[0], *strictly)
    assert done.returncode == 1
    assert "persistence could not do its work, and the run is strict: " in done.stderr


@pytest.fixture(scope="module")
def alone(python, unchanged, tmp_path_factory):
    """Run steps by themselves, all in one process."""
    folder = tmp_path_factory.mktemp("alone")
    cal = next(unchanged.glob("*_cal.fits"))
    done = python(folder, "run_code", ALONE_AS_FLOWS, cal, *ALONE)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("step", ALONE)
def test_step_alone(alone, step):
    name, message, strict = alone[step]
    assert name == "Degraded"
    assert message.startswith(f"{step[6:]}: ")
    assert ALONE[step] in message and ALONE[step] in strict
    assert alone["left"] == []
