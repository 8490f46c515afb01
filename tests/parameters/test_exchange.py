"""Parameter files, exchanged with upstream both ways."""

import asdf
import pytest
import stpipe
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, look

from stpipe_prefect import Step
from stpipe_prefect.exceptions import OutputError, ParameterError
from stpipe_prefect.parameters.files import load_config_file
from stpipe_prefect.parameters.schemas import resource_mappings


class UpstreamClip(stpipe.Step):
    """The same parameters on upstream's base class."""

    spec = ClipStep.spec + "\noutput_ext = string(default='.row')"

    def process(self, *args):
        return None


class UpstreamCalibrate(stpipe.Pipeline):
    spec = "output_ext = string(default='.row')"
    step_defs = {"clip": UpstreamClip}


def test_what_upstream_writes_is_read(tmp_path):
    step = UpstreamClip(high=7, keep=[1, 2], method="zero")
    step.export_config(tmp_path / "theirs.asdf", include_metadata=True)
    config = load_config_file(tmp_path / "theirs.asdf")
    assert config.pop("class") == f"{__name__}.UpstreamClip"
    ours = ClipStep.from_config_section(config)
    assert ours.get_pars() == step.get_pars()


def test_what_we_write_is_read_by_upstream(tmp_path):
    step = ClipStep(high=7, keep=[1, 2], method="zero")
    step.export_config(tmp_path / "ours.asdf")
    config = stpipe.config_parser.load_config_file(str(tmp_path / "ours.asdf"))
    assert config.pop("class") == "lantern.steps.ClipStep"
    theirs = UpstreamClip.from_config_section(config)
    assert theirs.get_pars() == step.get_pars()


def test_pipelines_both_ways(tmp_path):
    UpstreamCalibrate(steps={"clip": {"high": 7}}).export_config(tmp_path / "theirs.asdf")
    ours = load_config_file(tmp_path / "theirs.asdf")
    CalibratePipeline(steps={"clip": {"high": 8}}).export_config(tmp_path / "ours.asdf")
    theirs = stpipe.config_parser.load_config_file(str(tmp_path / "ours.asdf"))
    assert (ours["steps"]["clip"]["high"], theirs["steps"]["clip"]["high"]) == (7, 8)
    assert list(theirs["steps"]) == ["dark", "flat", "clip"]


def test_the_layout_upstream_calls_legacy(tmp_path):
    parameters = {
        "class": "lantern.pipelines.CalibratePipeline",
        "name": "old",
        "suffix": "x",
        "steps": {"clip": {"class": "lantern.steps.ClipStep", "high": 3.0}},
    }
    asdf.AsdfFile({"parameters": parameters}).write_to(tmp_path / "old.asdf")
    ours = load_config_file(tmp_path / "old.asdf").dict()
    theirs = stpipe.config_parser.load_config_file(str(tmp_path / "old.asdf")).dict()
    assert ours == theirs
    assert Step.from_config_file(tmp_path / "old.asdf").clip.high == 3.0


def test_cfg_is_read_as_upstream_reads_it(tmp_path):
    file = tmp_path / "pars.cfg"
    file.write_text(
        "# a comment\nname = 'night'\nclass = lantern.steps.ClipStep\nroot = ab\n"
        "title = %(root)s/cd\nkeep = 1, 2,\n[steps]\n[[clip]]\nhigh = 3 # three\n"
    )
    ours = load_config_file(file).dict()
    assert ours == stpipe.config_parser.load_config_file(str(file)).dict()
    assert ours["title"] == "ab/cd"


def test_exported_files_satisfy_the_schemas(tmp_path):
    with asdf.config_context() as config:
        config.validate_on_read = True
        for mapping in resource_mappings():
            config.add_resource_mapping(mapping)
        for pipeline, metadata in ((ClipStep(), False), (CalibratePipeline(), True)):
            pipeline.export_config(tmp_path / "out.asdf", include_metadata=metadata)
            for version in ("1.0.0", "1.1.0"):
                schema = f"asdf://stpipe_prefect/schemas/step_config-{version}"
                asdf.open(tmp_path / "out.asdf", custom_schema=schema).close()
        asdf.AsdfFile({"class": "a.B", "parameters": {}, "meta": {}}).write_to(tmp_path / "x.asdf")
        with pytest.raises(asdf.ValidationError):
            asdf.open(tmp_path / "x.asdf", custom_schema=schema)


def test_metadata_are_what_upstream_asks_for(tmp_path):
    CalibratePipeline().export_config(tmp_path / "ours.asdf", include_metadata=True)
    UpstreamCalibrate().export_config(tmp_path / "theirs.asdf", include_metadata=True)
    with asdf.open(tmp_path / "ours.asdf") as ours, asdf.open(tmp_path / "theirs.asdf") as theirs:
        assert ours["meta"].keys() == theirs["meta"].keys()
        assert ours["meta"]["author"] == theirs["meta"]["author"] == "<SPECIFY>"
        assert "CalibratePipeline" in ours["meta"]["description"]


def test_exported_parameters_make_the_same_step(tmp_path):
    step = ClipStep("mine", high=7, keep=[3], pre_hooks=[look, "shell: echo {0}"])
    step.export_config(tmp_path / "pars.asdf")
    again = Step.from_config_file(tmp_path / "pars.asdf")
    assert (type(again), again.name) == (ClipStep, "mine")
    assert again.get_pars() == step.get_pars() | {
        "pre_hooks": ["lantern.steps.look", "shell: echo {0}"]
    }


def test_what_cannot_be_stored(tmp_path):
    class OddStep(ClipStep):
        spec = "model = is_datamodel(default=None)"

    with pytest.raises(ParameterError, match="The parameters of odd cannot be stored in a file"):
        OddStep("odd", model=Row([1.0])).export_config(tmp_path / "pars.asdf")
    with pytest.raises(ParameterError, match="give its dotted path instead"):
        ClipStep(pre_hooks=[ClipStep()]).export_config(tmp_path / "pars.asdf")
    with pytest.raises(OutputError, match=r"nowhere/pars\.asdf cannot be written"):
        ClipStep().export_config(tmp_path / "nowhere/pars.asdf")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.cfg", "no key\n", "Invalid line"),
        ("x.cfg", "[steps\n", "Invalid line"),
        ("x.cfg", "a = %(b)s\n", "missing option"),
        ("x.asdf", "#ASDF 1.0.0\n", "expected 'class', a str"),
        ("x.asdf", "#ASDF 1.0.0\n%YAML 1.1\n--- [\n", "End of YAML marker not found"),
        ("x.asdf", "#ASDF 1.0.0\n%YAML 1.1\n--- {a: 1}\n...\n", "expected 'class', a str"),
        (
            "x.any",
            "#ASDF 1.0.0\n%YAML 1.1\n--- {class: a.B, parameters: 5}\n...\n",
            "expected 'parameters', a dict",
        ),
        (
            "x.asdf",
            "#ASDF 1.0.0\n%YAML 1.1\n"
            "--- {class: a.B, parameters: {}, steps: [{class: a.C, parameters: {}}]}\n...\n",
            "a step in it has no name",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::asdf.exceptions.AsdfWarning")
def test_files_that_are_no_good(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ParameterError) as caught:
        load_config_file(file)
    assert str(caught.value).startswith(f"{file}: not a readable parameter file: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)
