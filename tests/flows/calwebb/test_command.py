"""The command as a user runs it: exit code, what is said, what is left in the output folder."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial

import pytest
from astropy.io import fits

COMMAND = [sys.executable, "-m", "flows.calwebb"]
MOSAIC = "jw01234-o001_tsimulated_nircam_clear-f200w-generic"
GAIN = "jwst_nircam_gain_0001.fits"


@dataclass(frozen=True)
class Run:
    """What a run of the command said and left."""

    code: int
    out: str
    err: str
    products: list[str]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture(scope="session")
def run_in(environment):
    """Run the command with a folder for its products, and with other variables."""

    def run(out, *arguments, **variables):
        changed = {k: str(v) for k, v in (environment | variables).items() if v is not None}
        result = subprocess.run(
            [*COMMAND, *map(str, arguments), "--output-dir", out],
            env=changed,
            cwd=out.parent,
            capture_output=True,
            text=True,
        )
        return Run(result.returncode, result.stdout, result.stderr, products(out))

    return run


@pytest.fixture
def calwebb(run_in, out):
    return partial(run_in, out)


def products(folder):
    """List what a folder holds besides records, logs and quick looks, hidden files too."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [
        name for name in names if not name.endswith((".provenance.json", ".log", ".quicklook.json"))
    ]


@pytest.fixture
def crds_copy(small, tmp_path):
    return shutil.copytree(small.crds_path, tmp_path / "crds")


def thresholds(text):
    """Find what the jump step says it used."""
    return re.findall(r"CR rejection threshold = (\S+) sigma", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def several(run_in, uncal, folder):
    """Runs of the command by name, one after the other."""
    half = folder / "half_uncal.fits"
    half.write_bytes(uncal.read_bytes()[:50_000])
    given = {
        "bad files": ("made", "absent.fits", uncal, half),
        "another context": ("made", uncal, "--plan", "--json", "--context", "jwst_0002.pmap"),
        "and back": ("made", uncal, "--plan"),
        "again": ("made", uncal),
        "wrong parameters": (
            *("none", uncal, "--steps.jmp.skip=true", "--steps.jump.rejection_treshold=5"),
            "--steps.jump.rejection_threshold=high",
        ),
        "wrong pipeline": ("none", uncal, "--pipeline", "calwebb_spec2"),  # fails on an image
        "associations planned": ("planned", uncal, "--associate", "--plan", "--json"),
        "associations": ("associated", uncal, "--associate"),
        "associations again": ("associated", uncal, "--associate", "--plan"),
    }
    return {name: run_in(folder / out, *arguments) for name, (out, *arguments) in given.items()}


def test_plan_says_what_belongs_together_and_writes_nothing(several, uncal):
    run = several["associations planned"]
    stem = uncal.name.removesuffix("_uncal.fits")
    associations = [each["association"] for each in json.loads(run.out) if "association" in each]
    assert [(each["asn_type"], each["products"], each["members"]) for each in associations] == [
        ("image2", [stem], [{"expname": f"{stem}_rate.fits", "exptype": "science"}]),
        ("image3", [MOSAIC], [{"expname": f"{stem}_cal.fits", "exptype": "science"}]),
    ]
    assert "target=simulated" in associations[1]["constraints"]
    assert (run.code, run.err, run.products) == (0, "", [])


def test_associations_of_exposures_are_made_and_run(several, uncal):
    run, again = several["associations"], several["associations again"]
    stem = uncal.name.removesuffix("_uncal.fits")
    assert run.code == 0
    assert {f"{stem}_image2_asn.json", f"{stem}_cal.fits", f"{MOSAIC}_image3_asn.json"} < {
        *run.products
    }
    assert f"{MOSAIC}_i2d.fits" in run.products
    assert "0 of 3 will run" in again.out


def test_bad_files_among_good_ones(several, uncal, folder):
    run, half = several["bad files"], folder / "half_uncal.fits"
    assert run.code == 1
    absent, truncated = run.err.splitlines()
    assert absent == "calwebb: absent.fits: no such file"
    assert truncated.startswith(f"calwebb: {half}: truncated: 50000 bytes, its headers declare ")
    stem = uncal.name.removesuffix("_uncal.fits")
    assert run.products == [f"{stem}_{kind}.fits" for kind in ("cal", "i2d", "rate", "rateints")]
    for product in run.products:
        assert re.search(rf"{product} +\d+\.\d\d +calwebb_", run.out)
    assert "Traceback" not in run.out


IMPORTED = """
import sys
from flows.calwebb.__main__ import main

code = main()
print(*({"jwst", "prefect"} & sys.modules.keys()))
sys.exit(code)
"""


def test_only_bad_files(environment, with_header, out, tmp_path):
    empty, other = tmp_path / "empty.fits", with_header("hst_uncal.fits", TELESCOP="HST")
    empty.touch()
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED, empty, other, "--output-dir", out],
        env=environment | {"XDG_RUNTIME_DIR": str(tmp_path)},  # of no warm process
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "\n"  # neither Prefect nor jwst was started for it
    assert (run.returncode, products(out)) == (1, [])
    assert run.stderr.splitlines() == [
        f"calwebb: {empty}: not a FITS file: it is empty",
        f"calwebb: {other}: TELESCOP is HST, expected JWST",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--stage", "3"], "none of stage 3"),
        (["--stage", "4"], "argument --stage: invalid choice: 4 (choose from 1, 2, 3)"),
        (["--context"], "argument --context: expected one argument"),
        (["--verbosely"], "--verbosely: expected a value (did you mean '--verbose'?)"),
        (["--associate", "--stage", "3"], "associate goes through all stages"),
        (["--associate", "raw"], "--associate: expected nothing, or by=KEYWORD,KEYWORD, not 'raw'"),
        (["--pool", "pool.csv"], "pool goes with associate"),
        (["--grid", "shared"], "grid goes with associate"),
        (["--missing", "drop"], "missing goes with associate"),
        (["--steps.jump.skip"], "argument --steps.jump.skip: expected a value"),
    ],
)
def test_wrong_usage(calwebb, uncal, arguments, problem):
    run = calwebb(uncal, *arguments)
    assert (run.code, run.out, run.products) == (2, "", [])
    (line,) = run.err.splitlines()
    assert line.startswith("calwebb: ") and problem in line


def test_wrong_parameters_are_named_before_anything_runs(several):
    run = several["wrong parameters"]
    assert (run.code, run.out, run.products) == (2, "", [])
    assert run.err.splitlines() == [
        "calwebb: calwebb_detector1: steps.jump.rejection_threshold = 'high' is not allowed: "
        "expected float(default=4.0,min=0)",
        "calwebb: calwebb_detector1, calwebb_image2: there is no parameter 'steps.jmp.skip' "
        "(did you mean 'steps.jump.skip'?)",
        "calwebb: calwebb_detector1, calwebb_image2: there is no parameter "
        "'steps.jump.rejection_treshold' (did you mean 'steps.jump.rejection_threshold'?)",
    ]


def test_output_folder_that_cannot_be(environment, uncal, tmp_path):
    (tmp_path / "file").touch()
    result = subprocess.run(
        [*COMMAND, uncal, "--output-dir", tmp_path / "file" / "out"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"calwebb: Output folder {tmp_path / 'file' / 'out'} cannot be written to: "
        "Not a directory\n"
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "problem"),
    [
        ([], {"CRDS_PATH": None}, "CRDS_PATH is not set: point it at a CRDS cache folder"),
        (["--context=jwst_0009.pmap"], {}, "Context jwst_0009.pmap is not in the CRDS cache"),
        ([], {"PREFECT_API_URL": "http://127.0.0.1:1/api"}, "http://127.0.0.1:1/api"),
    ],
)
def test_unusable_surroundings(calwebb, uncal, arguments, variables, problem):
    run = calwebb(uncal, *arguments, **variables)
    assert (run.code, run.out, run.products) == (1, "", [])
    (line,) = run.err.splitlines()
    assert line.startswith("calwebb: ") and problem in line


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (GAIN, "gain"),
        pytest.param(
            "jwst_nircam_pars-jumpstep_0001.asdf", "pars-jumpstep", marks=pytest.mark.slow
        ),
    ],
)
def test_absent_reference(calwebb, uncal, crds_copy, name, kind):
    path = crds_copy / "references/jwst/nircam" / name
    path.unlink()
    run = calwebb(uncal, "--stage", "1", CRDS_PATH=crds_copy)
    assert (run.code, run.products) == (1, [])
    assert run.err == (
        f"calwebb: {kind} reference {name} (jwst_0001.pmap) for {uncal.name} is not in the CRDS "
        f"cache: {path}; set CRDS_SERVER_URL to fetch it\n"
    )
    assert run.out.splitlines()[-2].startswith("FAIL ")


def test_error_of_jwst_itself_names_file_and_pipeline(several, uncal):
    run = several["wrong pipeline"]
    assert (run.code, run.products) == (1, [])
    assert run.err == (
        f"calwebb: {uncal.name}: calwebb_spec2: RuntimeError: Cannot determine WCS.\n"
    )


def test_tracebacks_if_asked_for(calwebb):
    run = calwebb("absent.fits", "--debug")
    assert run.code == 1
    assert run.err.startswith("Traceback (most recent call last)")
    assert run.err.endswith("calwebb: absent.fits: no such file\n")


@pytest.mark.slow  # as the next one, but for the layer: tests/parameters has all of them
def test_parameters_of_the_context_beat_those_of_the_code(calwebb, uncal, out):
    run = calwebb(uncal, "--stage", "1", "--context", "jwst_0002.pmap", "--verbose")
    assert (run.code, thresholds(run.err)) == (0, ["6"])  # 4 in the code, 5 in jwst_0001.pmap
    for product in run.products:
        assert fits.getheader(out / product)["CRDS_CTX"] == "jwst_0002.pmap"
        assert fits.getheader(out / product)["R_GAIN"].endswith("gain_0002.fits")


def test_plan_of_another_context_and_back(several, uncal):
    planned = json.loads(several["another context"].out)
    rate = uncal.name.replace("_uncal", "_rate")
    assert [(plan["input"], plan["pipeline"], *plan["reasons"]) for plan in planned] == [
        (
            uncal.name,
            "calwebb_detector1",
            "parameter jump.rejection_threshold 5.0 → 6.0 (CRDS step file pars-jumpstep 0001 → "
            "0002)",
            "reference gain 0001 → 0002",
        ),
        (
            rate,
            "calwebb_image2",
            "reference flat 0001 → 0002",
            f"input {rate} will be remade",
        ),
    ]
    assert several["and back"].out.splitlines()[-1] == "0 of 2 will run"


UNCHANGED = """
import sys
from flows.calwebb.__main__ import run

assert run() == 0
sys.argv.append("--plan")
assert run() == 0
unneeded = {"jwst.pipeline", "stpipe", "prefect", "stpipe_prefect.execution.processes"}
print(sorted(unneeded & {*sys.modules}))
"""


def test_nothing_to_do_needs_neither_jwst_nor_prefect(several, environment, uncal, folder):
    home = folder / "prefect"
    variables = {k: v for k, v in environment.items() if k != "PREFECT_API_URL"}
    run = subprocess.run(
        [sys.executable, "-c", UNCHANGED, uncal, "--output-dir", folder / "made"],
        env=variables | {"PREFECT_HOME": str(home)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    same, *table, products, _, first, second, planned, imported = run.stdout.splitlines()
    assert re.fullmatch(rf"same +0\.0 s +{uncal.name}", same)
    assert len(table) == 1 + len(several["again"].products)
    assert products == f"products are in {folder / 'made'}"
    assert all(line.rstrip().endswith("  up to date") for line in (first, second))
    assert (planned, imported) == ("0 of 2 will run", "[]")
    assert (run.stderr, home.exists()) == ("", False)  # neither a server nor its database


def test_nothing_to_do_is_a_flow_run_where_a_server_is_configured(several, uncal):
    again = several["again"]
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("same ")
    assert re.search(r"^this run in Prefect: http.*/runs/flow-run/", again.out, re.MULTILINE)


@pytest.mark.slow
def test_parameter_file_beats_the_context(calwebb, uncal, tmp_path):
    file = tmp_path / "some.cfg"
    file.write_text(
        'class = "jwst.pipeline.Detector1Pipeline"\n[steps]\n[[jump]]\nrejection_threshold = 7.5\n'
    )
    run = calwebb(uncal, "--stage", "1", "--config-file", file, "--verbose")
    assert (run.code, thresholds(run.err)) == (0, ["7.5"])


def test_flag_beats_the_parameter_file(calwebb, uncal, tmp_path):
    from jwst.pipeline import Detector1Pipeline

    file = tmp_path / "all.asdf"
    values = {"jump": {"rejection_threshold": 8.0}, "refpix": {"side_smoothing_length": 13}}
    Detector1Pipeline(steps=values).export_config(file)
    run = calwebb(
        uncal,
        "--pipeline=calwebb_detector1",
        f"--config-file={file}",
        "--steps.jump.rejection_threshold=9",
        "--verbose",
    )
    assert (run.code, thresholds(run.err)) == (0, ["9"])
    assert "side_smoothing_length = 13\n" in run.err  # 11 in the code


@pytest.mark.slow
def test_disk_that_fills_up_on_the_way(calwebb, uncal, out):
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(out)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by an administrator only")
    try:
        run = calwebb(uncal, "--stage", "1")
    finally:
        subprocess.run(["umount", str(out)], check=True)
    assert (run.code, run.products) == (1, [])
    (line,) = run.err.splitlines()
    assert line.startswith(f"calwebb: {uncal.name}: calwebb_detector1")
    assert "Not enough space on disk" in line


def test_interrupt(environment, uncal, out):
    with subprocess.Popen(
        [*COMMAND, uncal, "--output-dir", out],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("run ")
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the command
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "calwebb: interrupted\n")
    assert products(out) == []


def test_exit_code_of_jwst_for_no_science_data_is_kept():
    from jwst.assign_wcs.util import NoDataOnDetectorError

    from stpipe_prefect.exceptions import StpipeExitException
    from stpipe_prefect.outcomes import exit_code_of

    assert exit_code_of(StpipeExitException(0)) == 1  # it is shown as FAIL
    assert exit_code_of(NoDataOnDetectorError("no open slits")) == 64


def test_sweep_makes_trials_that_go_on_from_one_another_and_judges_them(calwebb, out, uncal):
    sweep = ("--stage", 1, "--sweep", "steps.ramp_fit.firstgroup=0,1")
    wrong = calwebb(uncal, *sweep, "--sweep", "steps.jmp.skip=true")
    assert wrong.code == 2 and "there is no parameter 'steps.jmp.skip'" in wrong.err
    assert not out.exists()
    store = out.parent / "checkpoints"
    run = calwebb(uncal, *sweep, STPIPE_PREFECT_CHECKPOINTS=store)
    assert run.code == 0, run.err
    assert "rate sky_rms" in run.out
    assert (out / "trials/steps.ramp_fit.firstgroup.html").is_file()
    (record,) = (out / "trials/firstgroup=1").glob("*.provenance.json")
    outcomes = {row["step"]: row["outcome"] for row in json.loads(record.read_text())["steps"]}
    assert (outcomes["jump"], outcomes["ramp_fit"]) == ("Cached", "Completed")
    plan = calwebb(uncal, *sweep[:2], "--trial", "other", "--steps.ramp_fit.firstgroup=1", "--plan")
    assert "shared with trials/firstgroup=1" in plan.out
