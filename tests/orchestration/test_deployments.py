"""What runs of a deployment may be given, through a real server's API."""

import json
import os
import subprocess
import sys

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL

from flows.calwebb.flow import calwebb
from flows.reprocess.flow import reprocess
from stpipe_prefect import as_flow
from stpipe_prefect.cli.main import main
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.orchestration.deployments import FLOW_RUN, check_allowed
from stpipe_prefect.orchestration.request import Request
from stpipe_prefect.parameters.resolution import Layer

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own

LANTERN = "lantern.pipelines.CalibratePipeline"


class Deployment:
    """A deployment whose runs are carried out in this process, as a worker's child does it."""

    def __init__(self, flow, **kwargs):
        self.flow = flow
        self.id = flow.to_deployment("test", **kwargs).apply()

    def start(self, **parameters):
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(self.id, parameters=parameters)

    def run(self, **parameters):
        flow_run = self.start(**parameters)
        state = run_flow(self.flow, flow_run=flow_run, return_type="state")
        return flow_run.id, state

    def rows(self, flow_run_id):
        with get_client(sync_client=True) as client:
            found = client._client.post(
                "/artifacts/filter",
                json={
                    "artifacts": {
                        "flow_run_id": {"any_": [str(flow_run_id)]},
                        "key": {"any_": ["parameters"]},
                    }
                },
            ).json()
        return json.loads(found[0]["data"])


@pytest.fixture
def deployment(prefect_server, mission):
    return Deployment(as_flow(CalibratePipeline))


@pytest.fixture
def lax(prefect_server, mission):
    """One whose parameters the server does not check."""
    return Deployment(as_flow(CalibratePipeline), enforce_parameter_schema=False)


@pytest.fixture
def deployed_with(mission, monkeypatch):
    """Check what a run is given against the settings, as in a deployment."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")

    def deployed_with(own=None, **given):
        own = {"input": "one_raw.row"} | (own or {})
        config_file = own.pop("config_file", None)
        Request(CalibratePipeline, given, config_file).check(own.pop("input"), **own)

    return deployed_with


def untouched(flow):
    """What Prefect's UI sends if nobody types anything but the input."""
    own = {name: None for name in flow.__signature__.parameters if name not in ("input", "steps")}
    return {"input": "one_raw.row", "steps": {}} | own


def test_untouched_form_resolves_as_no_parameters(deployment):
    form, state = deployment.run(**untouched(deployment.flow))
    assert state.is_completed(), state.message
    nothing, _ = deployment.run(input="one_raw.row", overwrite=True)
    assert deployment.rows(form) == deployment.rows(nothing)
    assert not any("flow run" in row["source"] for row in deployment.rows(form))


def test_typed_value_has_the_source_flow_run(deployment):
    run, state = deployment.run(input="one_raw.row", steps={"clip": {"high": 7}})
    assert state.is_completed(), state.message
    assert Row.open("one_cal.row").data == [0.0, 4.5, 0.0, 0.0]
    (row,) = (r for r in deployment.rows(run) if (r["step"], r["parameter"]) == ("clip", "high"))
    assert (row["value"], row["source"]) == ("7.0", "flow run")
    assert row["instead of"].startswith("30.0 (CRDS pipeline file ")


def test_frozen_flow_asks_crds_for_nothing(prefect_server, mission):
    frozen = Deployment(as_flow(CalibratePipeline, config={"steps": {"clip": {"low": 3.0}}}))
    shown = {"clip": {"low": 3.0}}  # the form sends back what it shows
    run, state = frozen.run(input="one_raw.row", steps=shown)
    assert state.is_completed(), state.message
    sources = {(r["step"], r["parameter"]): (r["value"], r["source"]) for r in frozen.rows(run)}
    assert sources["clip", "low"] == ("3.0", "frozen")
    assert ("clip", "high") not in sources  # it is left to the code
    run, _ = frozen.run(input="one_raw.row", steps={"clip": {"low": 4.0}})
    sources = {(r["step"], r["parameter"]): r["source"] for r in frozen.rows(run)}
    assert sources["clip", "low"] == "flow run"


def test_flow_frozen_to_a_file(mission):
    (mission / "pars.cfg").write_text(f"class = {LANTERN}\n[steps]\n[[clip]]\nlow = 2\n")
    config, _ = CalibratePipeline.build_config("one_raw.row")
    for source in ("pars.cfg", config):
        as_flow(CalibratePipeline, config=source)
    with pytest.raises(ParameterError, match="there is no step"):
        as_flow(CalibratePipeline, config={"steps": {"clop": {}}})


BAD = {"steps": {"clip": {"high": "x", "method": "zap", "hihg": 3}}}
MESSAGE = [
    "lantern_calibrate: steps.clip.high = 'x' is not allowed: expected float(default=100.0)",
    "lantern_calibrate: steps.clip.method = 'zap' is not allowed: "
    "expected option('clip', 'zero', default='clip')",
    "lantern_calibrate: there is no parameter 'steps.clip.hihg' (did you mean 'high'?)",
]


def test_python_and_command_line_say_the_same(prefect_server, mission, capsys):
    with pytest.raises(ParameterError) as caught:
        as_flow(CalibratePipeline)("one_raw.row", **BAD)
    assert str(caught.value).splitlines() == MESSAGE
    options = [f"--steps.clip.{name}={value}" for name, value in BAD["steps"]["clip"].items()]
    for command in ("run", "explain"):
        assert main([command, LANTERN, "one_raw.row", *options]) == 2
        lines = capsys.readouterr().err.splitlines()
        shown = [line.removeprefix("error: ") for line in lines]
        assert sorted(shown) == sorted(MESSAGE)


def test_run_that_the_server_let_through_says_the_same(lax, mission):
    _, state = lax.run(input="one_raw.row", **BAD)
    assert state.is_failed()
    assert all(line in state.message for line in MESSAGE)
    assert not (mission / "one_cal.row").exists()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"clip": {"high": "x"}}, "Validation failed for field 'steps.clip.high'"),
        ({"clip": {"method": "zap"}}, "'zap' is not one of ['clip', 'zero']"),
        ({"clip": {"hihg": 3}}, "'hihg'"),
        ({"clap": {}}, "'clap'"),
        ({"dark": {"scale": -1}}, "-1 is less than the minimum of 0.0"),
        ({"dark": {"pre_hooks": ["shell: true"]}}, "'pre_hooks'"),
    ],
)
def test_server_refuses_in_its_own_words(deployment, steps, words):
    with pytest.raises(PrefectHTTPStatusError) as caught:
        deployment.start(input="one_raw.row", steps=steps)
    assert words in caught.value.response.json()["detail"]


def test_server_accepts_what_the_form_does_not_show(deployment):
    _, state = deployment.run(input="one_raw.row", steps={"dark": {"suffix": "d"}})
    assert state.is_completed(), state.message


def test_prefect_deployment_run_is_refused_as_well(deployment):
    result = subprocess.run(
        [
            *(sys.executable, "-m", "prefect", "deployment", "run", "--id", str(deployment.id)),
            *("-p", 'input="one_raw.row"', "-p", 'steps={"clip": {"high": "x"}}'),
        ],
        env=os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "steps.clip.high" in result.stdout + result.stderr


HOOK = {"dark": {"pre_hooks": ["shell: touch hooked"]}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"steps": HOOK},
            "steps.dark.pre_hooks is not allowed in a deployment; STPIPE_PREFECT_ALL",
        ),
        ({"post_hooks": ["os.system"]}, "post_hooks is not allowed in a deployment"),
        ({"steps": {"dark": {"override_dark": "x.json"}}}, "steps.dark.override_dark is not"),
        ({"steps": {"dark": {"config_file": "x.cfg"}}}, "ALLOW_CONFIG_FILES=true in the worker's"),
        ({"steps": {"dark": {"class": "os.path"}}}, "steps.dark.class cannot be set"),
        ({"own": {"config_file": "x.cfg"}}, "config_file is not allowed"),
        ({"own": {"input": "/etc/passwd"}}, "input = '/etc/passwd' is not below"),
        ({"own": {"input": "../other/one_raw.row"}}, "STPIPE_PREFECT_INPUT_ROOTS in the"),
        ({"own": {"input": "link/one_raw.row"}}, "input = 'link/one_raw.row' is not below"),
        ({"own": {"output_dir": "/tmp"}}, "STPIPE_PREFECT_OUTPUT_ROOTS in the"),
        ({"own": {"output_dir": "link"}}, "output_dir = 'link' is not below"),
        ({"own": {"output_dir": "~"}}, "output_dir = '~' is not below"),
        ({"own": {"output_dir": "$HOME/p"}}, "output_dir = '$HOME/p' is not below"),
        ({"own": {"crds_context": "/tmp/mine.pmap"}}, "expected the name of a context"),
        ({"output_file": "../x"}, "output_file = '../x' is not below"),
        ({"suffix": "x/../../y"}, "suffix = 'x/../../y' is not below"),
        ({"steps": {"clip": {"output_dir": "/tmp"}}}, "steps.clip.output_dir = '/tmp'"),
        ({"input_dir": "/etc"}, "input_dir = '/etc' is not below"),
    ],
)
def test_deployment_may_not_be_given(deployed_with, mission, tmp_path_factory, given, words):
    (mission / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ParameterError) as caught:
        deployed_with(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def roots(mission, tmp_path_factory, monkeypatch):
    """Folders for what runs may read and write, neither of them that in which they work."""
    folders = [tmp_path_factory.mktemp(name) for name in ("input", "output")]
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", str(folders[0]))
    monkeypatch.setenv("STPIPE_PREFECT_OUTPUT_ROOTS", str(folders[1]))
    return folders


def test_parameters_that_write_are_held_to_the_output_roots(roots):
    readable, writable = roots

    def problem(name, value):
        steps = {"persistence": {name: value}}
        try:
            check_allowed("any", [Layer(FLOW_RUN, {"steps": steps})])
        except ParameterError as error:
            return str(error)

    for name in ("save_persistence", "catalog_path"):
        for value in (f"{readable}/array.asdf", "array.asdf", "~/array.asdf"):
            assert f"{value!r} is not below {writable}; STPIPE_PREFECT_OUT" in problem(name, value)
        assert problem(name, f"{writable}/array.asdf") is None
    for switch in (True, False, "true", "False"):
        assert problem("save_results", switch) is None
    assert problem("persistence_array_file", f"{writable}/array.asdf") is None  # may be read


def test_run_of_a_deployment_without_output_dir_writes_where_it_may(deployment, roots, mission):
    readable, writable = roots
    exposure = (mission / "one_raw.row").rename(readable / "one_raw.row")
    _, state = deployment.run(input=str(exposure))
    assert state.is_completed(), state.message
    assert (writable / "one_cal.row").exists()
    assert not list(mission.glob("*_cal.row")) and not list(readable.glob("*_cal.row"))


@pytest.mark.parametrize(
    ("member", "product", "words"),
    [
        ("../one_raw.row", "combined", "input = '{folder}/../one_raw.row' is not below"),
        ("/etc/passwd", "combined", "input = '/etc/passwd' is not below"),
        ("one_raw.row", "../combined", "product '../combined' of the association: expected a name"),
        ("one_raw.row", "/tmp/x", "product '/tmp/x' of the association: expected a name without"),
    ],
)
def test_association_of_a_deployment_is_held_to_the_roots(lax, roots, member, product, words):
    folder, writable = roots
    association = {"products": [{"name": product, "members": [{"expname": member}]}]}
    (folder / "any_asn.json").write_text(json.dumps(association))
    _, state = lax.run(input=str(folder / "any_asn.json"))
    assert state.is_failed()
    assert words.format(folder=folder) in state.message
    assert not list(writable.iterdir())


def test_deployment_may_be_given_what_settings_allow(
    deployed_with, mission, tmp_path_factory, monkeypatch
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    roots = os.pathsep.join(map(str, (mission, elsewhere)))
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", roots)
    monkeypatch.setenv("ELSEWHERE", str(elsewhere))
    monkeypatch.setenv("STPIPE_PREFECT_OUTPUT_ROOTS", "$ELSEWHERE")
    monkeypatch.setenv("STPIPE_PREFECT_ALLOW_HOOKS", "true")
    monkeypatch.setenv("STPIPE_PREFECT_ALLOW_OVERRIDES", "1")
    deployed_with({"output_dir": str(elsewhere / "a")}, steps=HOOK)
    deployed_with({"output_dir": "$ELSEWHERE/a"})
    override = {"override_dark": "crds://jwst_nircam_dark_0001.json"}
    deployed_with(
        {"input": str(elsewhere / "x.row"), "output_dir": str(elsewhere)}, steps={"dark": override}
    )
    with pytest.raises(ParameterError, match="override_dark = '/etc/passwd' is not below"):
        deployed_with(steps={"dark": {"override_dark": "/etc/passwd"}})


def test_everything_that_is_not_allowed_is_named_at_once(deployed_with):
    with pytest.raises(ParameterError) as caught:
        deployed_with({"input": "/etc/passwd", "output_dir": "/"}, steps=HOOK)
    assert len(str(caught.value).splitlines()) == 3


def test_refused_from_the_api_even_if_the_server_lets_it_through(lax, mission):
    _, state = lax.run(input="one_raw.row", steps=HOOK)
    assert state.is_failed()
    assert "steps.dark.pre_hooks is not allowed in a deployment" in state.message
    assert not (mission / "hooked").exists()


def test_refused_in_a_flow_of_a_deployed_flow(prefect_server, mission):
    from prefect import flow

    @flow(persist_result=False)
    def campaign(steps: dict):
        as_flow(CalibratePipeline)("one_raw.row", steps=steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT__FLOW_RUN_ID", "any")  # as in the process that a worker starts
        with pytest.raises(ParameterError, match="pre_hooks is not allowed"):
            campaign(HOOK)
    assert not (mission / "hooked").exists()


@pytest.mark.parametrize(
    ("flow", "given", "words"),
    [
        (calwebb, {"inputs": ["/etc/passwd"]}, "input = '/etc/passwd' is not below"),
        (calwebb, {"inputs": [], "config_file": "x.cfg"}, "config_file is not allowed in a"),
        (calwebb, {"inputs": [], "output_dir": "/"}, "output_dir = '/' is not below"),
        (calwebb, {"inputs": [], "parameters": {"steps": HOOK}}, "steps.dark.pre_hooks is not"),
        (reprocess, {"crds_context": "/tmp/x.pmap"}, "expected the name of a context"),
    ],
)
def test_deployment_of_the_campaign_reads_nothing_it_may_not(
    prefect_server, mission, monkeypatch, flow, given, words
):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    with pytest.raises(ParameterError) as caught:
        flow.fn(**given)
    assert words in str(caught.value)


def test_unknown_name_beside_the_steps_is_left_to_prefect(deployment, mission):
    from prefect.exceptions import SignatureMismatchError

    with pytest.raises(SignatureMismatchError, match="hihg"):
        deployment.run(input="one_raw.row", hihg=3)
    assert not (mission / "one_cal.row").exists()


def test_hooks_in_crds_are_refused_in_a_deployment_and_run_locally(
    deployment, mission, hooked_crds
):
    _, state = deployment.run(input="one_raw.row")
    assert state.is_failed()
    assert "steps.clip.pre_hooks is not allowed in a deployment" in state.message
    assert "(from CRDS step file jwst_nircam_pars-clipstep_0001.asdf)" in state.message
    assert not (mission / "hooked").exists()
    as_flow(CalibratePipeline)("one_raw.row")
    assert (mission / "hooked").exists()


@pytest.fixture
def hooked_crds(mission, tmp_path_factory, monkeypatch):
    """A CRDS cache in which somebody put a hook into a parameter file."""
    from crds.core import utils
    from lantern import crds_cache

    content = crds_cache.PARAMETERS["pars-clipstep"]
    hooked = content | {"parameters": {"pre_hooks": ["shell: touch hooked"]}}
    monkeypatch.setitem(crds_cache.PARAMETERS, "pars-clipstep", hooked)
    cache = crds_cache.make_crds_cache(tmp_path_factory.mktemp("hooked") / "crds")
    monkeypatch.setenv("CRDS_PATH", str(cache))
    utils.clear_function_caches()


def test_locally_everything_is_allowed(prefect_server, mission, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (product,) = as_flow(CalibratePipeline)("one_raw.row", output_dir=elsewhere, steps=HOOK)
    assert product == str(elsewhere / "one_cal.row")
    assert (mission / "hooked").exists()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("input", "s3://archive/other/x.fits"),
        ("input", "s3://archive/raw/../other/x.fits"),
        ("output_dir", "s3://archive/raw"),
        ("output_dir", "s3://archive/products2"),
    ],
)
def test_urls_are_held_to_the_urls_among_the_roots(roots, monkeypatch, name, url):
    folders = f"{roots[0]}:s3://archive/raw", "s3://archive/products"
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", folders[0])
    monkeypatch.setenv("STPIPE_PREFECT_OUTPUT_ROOTS", folders[1])
    allowed = {"input": "s3://archive/raw/x.fits", "output_dir": "s3://archive/products/one"}
    check_allowed("any", [Layer(FLOW_RUN, allowed)])
    check_allowed("any", [Layer(FLOW_RUN, {"input": str(roots[0] / "x.fits")})])
    with pytest.raises(ParameterError, match=r"is not below .*s3://archive/"):
        check_allowed("any", [Layer(FLOW_RUN, {name: url})])


def test_without_urls_among_the_roots_none_is_allowed(roots):
    with pytest.raises(ParameterError, match=r"'s3://archive/x.fits' is not below /"):
        check_allowed("any", [Layer(FLOW_RUN, {"input": "s3://archive/x.fits"})])
