"""``python -m stpipe_prefect``, as a user meets it."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lantern
import pytest
from lantern.model import Row
from lantern.steps import ClipStep

from stpipe_prefect import Step
from stpipe_prefect.cli.main import main


@pytest.fixture
def run(mission, capfd):
    def run(*argv):
        status = main(list(argv))
        return status, *capfd.readouterr()

    return run


def test_help_comes_at_once():
    code = (
        "import sys\nfrom stpipe_prefect.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'asdf', 'astropy', 'crds', 'jwst', 'numpy', 'prefect'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "calwebb_detector1" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"  # each takes longer than all of the help


CALIBRATE = "lantern.pipelines.CalibratePipeline"


def test_list(run):
    _, everything, _ = run("list")
    assert "jwst.pipeline.Detector1Pipeline (calwebb_detector1)\n" in everything
    assert "jwst.step.JumpStep (jump)\n" in everything
    _, pipelines, _ = run("list", "--pipelines-only")
    _, steps, _ = run("list", "--steps-only", "JWST.*")
    assert "Detector1" in pipelines and "JumpStep" not in pipelines
    assert "JumpStep" in steps and "Detector1" not in steps
    assert run("list", "calwebb_image?")[1].count("\n") == 2
    assert run("list", "nothing") == (0, "", "No step matches.\n")


def test_version(run):
    import jwst

    status, shown, _ = run("--version")
    assert status == 0
    assert f"jwst: {jwst.__version__}" in shown.splitlines()
    assert shown.startswith("stpipe_prefect: ")


def test_help_of_a_step(run):
    with pytest.raises(SystemExit) as caught:
        main(["run", "lantern.pipelines.CalibratePipeline", "--help"])
    assert caught.value.code == 0


@pytest.mark.parametrize("argv", [[CALIBRATE, "-h"], ["-h", CALIBRATE]])
def test_help_of_a_step_explains_its_parameters(mission, capsys, argv):
    with pytest.raises(SystemExit):
        main(["run", *argv])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Calibrate one exposure." in shown
    assert "--steps.clip.high No pixel above [100.0]" in shown
    assert "--steps.dark.override_dark Override the dark reference file" in shown
    assert "--save-parameters" in shown


def test_help_of_run(run):
    assert run("run", "--help")[0] == 0
    assert run("run")[0] == 2
    assert run()[0] == 0


def test_run_saves_the_product(run):
    status, _, log = run(
        "run", "lantern.pipelines.CalibratePipeline", "one_raw.row", "--steps.clip.high=4"
    )
    assert status == 0, log
    assert Row.open("one_cal.row").data == [0.0, 0.0, 0.0, 0.0]
    assert "stpipe.step - INFO - Step CalibratePipeline done" in log
    assert logging.getLogger("lantern").handlers == []


def test_values_are_read_as_the_parameter_asks(run):
    status, _, log = run(
        "run",
        "lantern.steps.ClipStep",
        "one_raw.row",
        "--method",
        "zero",
        "--high=10",
        "--keep=2,3",
        "--post_hooks",
        "lantern.steps.double,",
        "--output_file",
        "a, b.row",
    )
    assert status == 0, log
    assert Row.open("a, b_clip.row").data == [2.0, 20.0, 100.0, 200.0]


def test_paths_start_where_the_user_is(run, mission):
    (mission / "deep").mkdir()
    (mission / "deep/pars.cfg").write_text("class = lantern.pipelines.CalibratePipeline\n")
    (mission / "clip.cfg").write_text("low = 3\n")
    status, _, log = run(
        "run",
        "deep/pars.cfg",
        "one_raw.row",
        "--steps.clip.config_file=clip.cfg",
        "--output_file=made/named.row",
        "--steps.clip.method=clip",
        "--steps.clip.low=4.2",
    )
    assert status == 0, log
    assert Row.open("named_cal.row").data == [4.2, 4.5, 24.5, 30.0]
    assert (mission / "made").is_dir() and not (mission / "deep/made").exists()


@pytest.mark.parametrize("folder", ["data", "~/data", "$HOME/data"])
def test_input_folder(run, mission, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(mission))
    (mission / "data").mkdir()
    Row([9.0], detector="NRCB2").save("data/two_raw.row")
    status, _, log = run("run", "lantern.steps.DarkStep", "two_raw.row", f"--input_dir={folder}")
    assert status == 0, log
    assert Row.open("two_darkstep.row").data == [7.0]


def test_parameters_of_the_run_are_saved(run):
    run("run", "lantern.steps.ClipStep", "one_raw.row", "--save-parameters=p.asdf", "--low=2")
    step = Step.from_config_file("p.asdf")
    assert isinstance(step, ClipStep)
    assert (step.low, step.high, step.save_results) == (2.0, 40.0, True)


def test_without_parameters_from_crds(run, monkeypatch):
    run(
        "run",
        "lantern.steps.ClipStep",
        "one_raw.row",
        "--disable-crds-steppars",
        "--save-parameters=p.asdf",
    )
    assert Step.from_config_file("p.asdf").high == 100.0
    run("run", "lantern.steps.ClipStep", "one_raw.row", "--save-parameters=p.asdf")
    assert Step.from_config_file("p.asdf").high == 40.0


def test_logs_as_asked(run):
    arguments = ("run", "lantern.steps.DarkStep", "one_raw.row")
    _, out, err = run(*arguments, "--log-stream=stdout", "--log-file=run.log")
    assert "lantern.steps - INFO - subtracting 1.0" in out and err == ""
    assert Path("run.log").read_text() == out
    assert run(*arguments, "--log-stream=null")[1:] == ("", "")
    assert "DEBUG" in run(*arguments, "-v")[2]
    assert "INFO" not in run(*arguments, "--log-level=warning")[2]
    assert "INFO" not in run(*arguments, "--log-level=30")[2]
    assert "INFO" in run(*arguments, "--log-level=20")[2]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["lantern.steps.ClapStep"], 2, "has no class 'ClapStep' (did you mean 'ClipStep'?)"),
        (["calwebb_detector"], 2, "(did you mean 'calwebb_detector1'?)"),
        (["lantern.steps.ClipStep", "one_raw.row", "--high=x"], 2, "high = 'x' is not allowed"),
        (["lantern.steps.ClipStep", "one_raw.row", "--keep='a"], 2, "--keep 'a: expected a list"),
        (["pars.cfg"], 2, "pars.cfg names no class"),
        (["lantern.steps.ClipStep", "gone.row"], 1, "gone.row cannot be read as an exposure"),
        (["lantern.steps.ClipStep", "--log-level=loud"], 2, "--log-level loud: expected DEBUG"),
        (["lantern.steps.ClipStep", "--log-file=no/where"], 2, "--log-file no/where: "),
        (
            ["lantern.steps.LanternStep"],
            1,
            "NotImplementedError: LanternStep does not define",
        ),
        (["mine.NothingStep"], 64, "nothing to calibrate"),
        (["mine.AbortStep"], 7, "exit status 7"),
        (["mine.LeaveStep"], 1, "exit status 0"),
    ],
)
def test_errors_are_one_line(run, mission, monkeypatch, arguments, status, message):
    (mission / "pars.cfg").write_text("high = 3\n")
    (mission / "mine.py").write_text(
        "from stpipe_prefect.exceptions import StpipeExitException\n"
        "from lantern.steps import LanternStep\n"
        "class NothingStep(LanternStep):\n"
        "    def process(self, *args):\n"
        "        raise StpipeExitException(64, 'nothing to calibrate')\n"
        "class AbortStep(LanternStep):\n"
        "    def process(self, *args):\n"
        "        raise StpipeExitException(7)\n"
        "class LeaveStep(LanternStep):\n"
        "    def process(self, *args):\n"
        "        raise StpipeExitException(0)\n"
    )
    monkeypatch.syspath_prepend(mission)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    got, _, err = run("run", *arguments, "--log-stream=null")
    lines = err.splitlines()
    assert (got, len(lines)) == (status, 1), err
    assert lines[0].startswith("error: ") and message in lines[0]


def test_unknown_option(run):
    status, _, err = run("run", "lantern.steps.ClipStep", "one_raw.row", "--hihg=3")
    assert status == 2
    assert err == "error: clip: there is no parameter 'hihg' (did you mean 'high'?)\n"


def test_unknown_argument(run):
    status, _, err = run("run", "lantern.steps.ClipStep", "one_raw.row", "-x")
    assert status == 2
    assert err == "error: unrecognized arguments: -x (see --help)\n"


def test_parameters_may_be_called_like_options_of_the_command(run, mission):
    (mission / "mine_named.py").write_text(
        "from lantern.steps import LanternStep\n"
        "class NamedStep(LanternStep):\n"
        '    spec = """\n'
        "    step = string(default=None)\n"
        "    inputs = int_list(default=None)\n"
        "    lenient = boolean(default=None)\n"
        '    """\n'
        "    def process(self, *args):\n"
        "        print(args, self.step, self.inputs, self.lenient)\n"
    )
    (mission / "pars.cfg").write_text("class = mine_named.NamedStep\n")
    argv = ["run", "pars.cfg", "one_raw.row", "--disable-crds-steppars"]
    assert run(*argv)[:2] == (0, "('one_raw.row',) None None None\n")
    status, out, log = run(*argv, "--step=a", "--inputs", "1,2", "--lenient", "true")
    assert (status, out) == (0, "('one_raw.row',) a [1, 2] True\n"), log
    with pytest.raises(SystemExit):
        main(["run", "pars.cfg", "-h"])


def test_none_is_read_as_the_manual_says(run):
    run(
        *("run", "lantern.steps.ClipStep", "one_raw.row", "--save-parameters=p.asdf"),
        *("--high=None", "--keep=", "--suffix=None", "--output_file='None'"),
    )
    step = Step.from_config_file("p.asdf")
    assert (step.high, step.keep, step.suffix) == (None, [], None)
    assert Path(step.output_file).name == "None"


@pytest.mark.parametrize("command", ["run", "explain"])
def test_parameter_file_is_checked_with_hints(run, mission, command):
    (mission / "clip.cfg").write_text("lo = 1\n")
    (mission / "pars.cfg").write_text(
        "class = lantern.pipelines.CalibratePipeline\nconfig_file = other.cfg\n"
        "[steps]\n[[clip]]\nhihg = 3\nlow = x\nconfig_file = clip.cfg\n[[dark]]\n"
        "config_file = gone.cfg\n"
    )
    status, _, err = run(command, "pars.cfg", "one_raw.row", "--steps.flat.skip=perhaps")
    assert status == 2
    assert [line.removeprefix("error: ") for line in err.splitlines()] == [
        "lantern_calibrate: steps.flat.skip = 'perhaps' is not allowed: "
        "expected boolean(default=False)",
        "pars.cfg: config_file: only a step can have one, as steps.<step>.config_file",
        "pars.cfg: lantern_calibrate: there is no parameter 'steps.clip.hihg' "
        "(did you mean 'high'?)",
        "pars.cfg: lantern_calibrate: steps.clip.low = 'x' is not allowed: "
        "expected float(default=1.0)",
        "gone.cfg: no such parameter file",
        "clip.cfg: clip: there is no parameter 'lo' (did you mean 'low'?)",
    ]


def test_debug_shows_where(run):
    status, _, err = run("run", "lantern.steps.LanternStep", "--log-stream=null", "--debug")
    assert status == 1
    assert "Traceback" in err and "raise NotImplementedError" in err


def test_lenient(run, mission):
    (mission / "mine_lenient.py").write_text(
        "from lantern.steps import LanternStep\n"
        "class AnyStep(LanternStep):\n"
        "    def process(self, name):\n"
        "        assert name == 'gone.row'\n"
    )
    (mission / "pars.cfg").write_text("class = mine_lenient.AnyStep\n")
    assert run("run", "pars.cfg", "gone.row")[0] == 1
    status, _, log = run("run", "pars.cfg", "gone.row", "--lenient")
    assert status == 0, log
    assert "WARNING - gone.row cannot be read" in log


def test_from_cmdline_returns_the_step(mission):
    step = Step.from_cmdline(["lantern.steps.ClipStep", "one_raw.row", "--high=5"])
    assert isinstance(step, ClipStep) and step.high == 5.0
    assert Path("one_clip.row").exists()


def test_classes_on_upstream_run_as_well(run, mission):
    (mission / "upstream.py").write_text(
        "import stpipe\n"
        "class OldStep(stpipe.Step):\n"
        "    spec = '''\n"
        "    output_ext = string(default='.row')\n"
        "    level = float(default=1)\n"
        "    '''\n"
        "    def process(self, *args):\n"
        "        print('level', self.level)\n"
    )
    (mission / "pars.cfg").write_text("class = upstream.OldStep\n")
    status, out, err = run("run", "pars.cfg", "--level=3")
    assert status == 0, err
    assert out == "level 3.0\n"


@pytest.fixture
def crds_server(mission, lantern_cache, monkeypatch):
    from loopback import LoopbackCrds

    with LoopbackCrds(lantern_cache).running() as server:
        monkeypatch.setenv("CRDS_PATH", str(mission / "cold"))
        monkeypatch.setenv("CRDS_SERVER_URL", server.url)
        monkeypatch.setenv("STPIPE_CRDS_PATIENCE", "2")
        yield server


def test_prefetch_fills_a_cache_and_can_be_repeated(crds_server, mission, capsys):
    shutil.copy("one_raw.row", "two_raw.row")
    assert main(["prefetch", CALIBRATE, "one_raw.row", "two_raw.row", "--jobs", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("4 files for 2 inputs under jwst_0001.pmap: 4 fetched (")
    assert len(lines) == 5
    assert set(crds_server.files_asked.values()) == {1}
    crds_server.asked.clear()
    args = ["prefetch", CALIBRATE, "one_raw.row", "two_raw.row", "--context", "jwst_0001.pmap"]
    assert main(args) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 files for 2 inputs under jwst_0001.pmap: 0 fetched (0.00 MB), 4 were there, 0 failures"
    ]
    assert not crds_server.asked


def test_prefetch_goes_on_without_what_fails(crds_server, capsys):
    import loopback

    crds_server.manners["jwst_nircam_dark_0001.json"] = loopback.corrupted
    assert main(["prefetch", CALIBRATE, "none.row", "one_raw.row"]) == 1
    out, err = capsys.readouterr()
    assert "fetched jwst_nircam_flat_0001.json" in out
    assert out.splitlines()[-1].endswith("2 failures")
    first, second = err.splitlines()
    assert first.startswith("error: none.row cannot be read as an exposure")
    assert second.startswith("error: dark reference jwst_nircam_dark_0001.json (jwst_0001.pmap)")


def test_prefetch_twice_at_once(crds_server, mission):
    command = [sys.executable, "-m", "stpipe_prefect", "prefetch", CALIBRATE, "one_raw.row"]
    path = [str(Path(lantern.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    both = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert set(crds_server.files_asked.values()) == {1}


@pytest.mark.parametrize("jobs", ["0", "many"])
def test_prefetch_needs_a_number_of_jobs(capsys, jobs):
    assert main(["prefetch", CALIBRATE, "one_raw.row", "--jobs", jobs]) == 2
    assert f"--jobs: expected an integer of at least 1, not {jobs!r}" in capsys.readouterr().err


def test_prefetch_needs_nothing_for_steps_that_the_run_skips(crds_server, capsys):
    Row([1.0], detector="NRCB3").save("three_raw.row")
    assert main(["prefetch", CALIBRATE, "three_raw.row"]) == 1
    assert "selects no dark, flat reference for this exposure" in capsys.readouterr().err
    skips = ["--steps.dark.skip=true", "--steps.flat.skip=true"]
    assert main(["prefetch", CALIBRATE, "three_raw.row", "--jobs", "2", *skips]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 files for 1 inputs under jwst")
    assert main(["prefetch", CALIBRATE, "three_raw.row", "--steps.drak.skip=true"]) == 2
    assert "there is no" in capsys.readouterr().err
