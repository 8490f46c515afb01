"""Code and commands that run around a step."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, DarkStep, FlatStep, LanternStep, double, look

from stpipe_prefect.exceptions import HookError, ParameterError

low_clip = ClipStep(high=2.0)


@pytest.mark.parametrize(
    ("hook", "data"),
    [
        (double, [6.0]),
        ("lantern.steps.double", [6.0]),
        (" lantern.steps.double ", [6.0]),
        (look, [3.0]),
        (ClipStep, [3.0]),
        ("lantern.steps.ClipStep", [3.0]),
        ("lantern.steps.ClipStep(high=2.0, method='clip')", [2.0]),
        (ClipStep(high=1.5), [1.5]),
        ("shell: true", [3.0]),
        ("true {0}", [3.0]),
    ],
)
@pytest.mark.parametrize("kind", ["pre_hooks", "post_hooks"])
def test_every_kind_of_hook(hook, data, kind):
    assert ClipStep(**{kind: [hook]}).run(Row([3.0])).data == data


def test_hooks_run_in_order_and_replace_what_they_get():
    step = ClipStep(high=5.0, pre_hooks=[double, double], post_hooks=[double])
    assert step.run(Row([3.0])).data == [10.0]


def test_post_hooks_get_the_bare_result():
    class ListStep(ClipStep):
        def process(self, *args):
            return [Row([1.0]), Row([2.0])]

    got = []
    ListStep(post_hooks=[got.append]).run()
    assert [row.data for row in got[0]] == [[1.0], [2.0]]


def test_hooks_of_a_step_in_a_pipeline_from_a_parameter_file(mission):
    (mission / "halving.py").write_text(
        "def half(row):\n    row.data = [p / 2 for p in row.data]\n"
    )
    (mission / "pars.cfg").write_text("[steps]\n[[clip]]\npost_hooks = halving.half,\nhigh = 20\n")
    path = sys.path[:]
    row = CalibratePipeline.call(
        "one_raw.row", config_file=str(mission / "pars.cfg"), configure_log=False
    )
    assert row.data == [0.0, 2.25, 0.0, 0.0]
    assert sys.path == path


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("lantern.steps.duoble", "has no class 'duoble' (did you mean 'double'?)"),
        ("no_such_package.hook", "No module named 'no_such_package'"),
        ("lantern.steps.SUFFIXES", "expected a Step, a function"),
        ("lantern.steps.ClipStep(high=1/0)", "malformed node"),
        ("lantern.steps.ClipStep(3)", "expected keyword=value"),
        ("lantern.model.Row", "expected a Step, a function"),
        ("script.sh", "Cannot import 'script.sh'"),
        (5, "expected a Step, a function"),
    ],
)
def test_hooks_that_are_none(hook, message):
    with pytest.raises(ParameterError) as caught:
        ClipStep("clip", pre_hooks=[hook])
    text = str(caught.value)
    assert text.startswith(f"clip: pre_hooks {hook!r} cannot be used: ")
    assert message in text and "shell: …" in text and "\n" not in text


def test_parameters_that_a_hook_does_not_have():
    with pytest.raises(ParameterError) as caught:
        ClipStep(pre_hooks=["lantern.steps.FlatStep(invers=True)"])
    expected = "FlatStep: there is no parameter 'invers' (did you mean 'inverse'?)"
    assert str(caught.value) == expected


def test_a_command_gets_models_as_files(tmp_path):
    row = Row([3.0], filename="one_raw.row")
    ClipStep(pre_hooks=[f"cp {{0}} {tmp_path}/copy"]).run(row)
    assert Row.open(tmp_path / "copy").data == [3.0]
    assert row.meta.filename == "one_raw.row"


@pytest.mark.parametrize("name", ["a b.row", "$(touch hacked).row", "'; touch hacked; '.row", "*"])
@pytest.mark.parametrize("quoted", ["{0}", '"{0}"', "'{0}'", '"of {0}"', "'of {0}'"])
def test_file_names_are_never_part_of_the_command(name, quoted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = f"of {name}" if "of" in quoted else name
    ClipStep(
        pre_hooks=[f"printf '<%s>' {quoted} > out"], parent=CalibratePipeline(), skip=True
    ).run(name)
    assert Path("out").read_text() == f"<{expected}>"
    assert not Path("hacked").exists()


def test_other_braces_mean_what_the_shell_means(tmp_path, caplog):
    step = ClipStep(
        "clip", pre_hooks=["shell: echo 'a b' | awk '{print $2}'; echo \\{0} \"${HOME:+x}\""]
    )
    with caplog.at_level(logging.INFO):
        step.run(Row([1.0]))
    assert "pre_hook0: b" in caplog.messages
    assert "pre_hook0: {0} x" in caplog.messages


def test_doubled_braces_of_a_format_string_are_single_ones(caplog):
    step = ClipStep("clip", pre_hooks=["shell: echo 'a b' {0} | awk '{{print $2 $3}}'"])
    with caplog.at_level(logging.INFO):
        step._pre_hooks[0]("c")
    assert "pre_hook0: bc" in caplog.messages


def test_what_a_pre_hook_returns_takes_the_place_of_all_arguments():
    class AddStep(LanternStep):
        def process(self, one, other):
            return one + other

    assert AddStep(pre_hooks=[lambda one, other: (one, 10 * other)]).run(1, 2) == 21


def test_a_hook_that_is_an_instance_names_its_products_as_one_that_is_a_class(mission):
    for folder, hook in (("class", FlatStep), ("instance", FlatStep())):
        step = DarkStep("dark", output_dir=folder, post_hooks=[hook])
        hook = step._post_hooks[0].step
        hook.parent, hook.save_results = step, True
        step.run("one_raw.row")
    assert {path.name for path in mission.glob("*/*.row")} == {"one_flat.row"}


def test_megabytes_of_output_go_to_the_log(caplog):
    code = "import sys; [s.write('x' * 999 + chr(10)) for s in (sys.stdout, sys.stderr) * 2000]"
    with caplog.at_level(logging.INFO, "stpipe"):
        ClipStep(post_hooks=[f"{sys.executable} -c {code!r}"]).run(Row([1.0]))
    assert sum(message.endswith("x" * 999) for message in caplog.messages) == 4000


def test_output_is_logged_while_the_command_runs(tmp_path):
    go = tmp_path / "go"

    class Opener(logging.Handler):
        def emit(self, record):
            if "ready" in record.getMessage() and "pre_hook0" in record.getMessage():
                go.touch()

    handler, logger = Opener(), logging.getLogger("stpipe.hooks")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        hook = (
            f"echo ready; for i in $(seq 100); do test -e {go} && exit 0; sleep 0.1; done; exit 1"
        )
        ClipStep(pre_hooks=[hook]).run(Row([1.0]))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_a_command_that_fails():
    with pytest.raises(HookError, match=r"pre_hook0: 'exit 3' ended with status 3"):
        ClipStep(pre_hooks=["exit 3 "]).run(Row([1.0]))
    with pytest.raises(HookError, match="status 127"):
        ClipStep(pre_hooks=["no_such_program {0}"]).run(Row([1.0]))


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killing_the_run_kills_all_its_processes(kill, tmp_path):
    code = (  # what is started in the background of a shell ignores SIGINT otherwise
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from lantern.steps import ClipStep; from lantern.model import Row; "
        f"ClipStep(pre_hooks=['(sleep 60 & echo $! > {tmp_path}/pid; wait) | cat']).run(Row([1.0]))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    pid = int(_eventually(lambda: (tmp_path / "pid").read_text().strip()))
    assert _is_alive(pid)
    run.send_signal(kill)
    run.wait(60)
    _eventually(lambda: not _is_alive(pid))


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _eventually(condition):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise AssertionError("not within 20 s")
