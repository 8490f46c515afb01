"""Names of products, and what is saved when."""

import json
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, LanternStep

from stpipe_prefect.exceptions import OutputError


class GiveStep(LanternStep):
    """Return what the test gives."""

    gift = None

    def process(self, *args):
        return self.gift


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "one_clip.row"),
        ({"suffix": "new"}, "one_new.row"),
        ({"suffix": False}, "one_raw.row"),
        ({"ext": "txt"}, "one_clip.txt"),
        ({"ext": ".txt"}, "one_clip.txt"),
        ({"basepath": "/elsewhere/two_cal.row"}, "two_clip.row"),
        ({"basepath": "two_unknown.row"}, "two_unknown_clip.row"),
        ({"idx": 3}, "one_3_clip.row"),
        ({"slit": "s1", "idx": 0, "none": None}, "one_s1_0_clip.row"),
        ({"suffix": False, "idx": 3}, "one_raw_3.row"),
        ({"name_format": "{suffix}-{basename}.{ext}"}, "clip-one.row"),
        ({"name_format": "{basename}{idx}.{ext}", "idx": 3}, "one3.row"),
        ({"name_format": False, "basepath": "all_{suffix}_is.row"}, "all_clip_is.row"),
        ({"component_format": "-{b}{a}", "a": 1, "b": 2}, "one-21_clip.row"),
        ({"component_format": "_{idx}", "idx": None}, "one_clip.row"),
        ({"separator": "-", "idx": 3, "basepath": "two"}, "two-3-clip.row"),
    ],
)
def test_names(options, name):
    step = ClipStep("clip")
    step.set_primary_input("data/one_raw.row")
    assert step.make_output_path(**options) == name


def test_folder_and_file_are_looked_for_above(monkeypatch):
    monkeypatch.setenv("PRODUCTS", "/products")
    pipeline = CalibratePipeline(output_dir="$PRODUCTS/today", output_file="night.row")
    assert pipeline.clip.make_output_path() == "/products/today/night_cal.row"
    pipeline.clip.suffix = "own"
    pipeline.clip.search_output_file = False
    pipeline.set_primary_input("one_raw.row")
    assert pipeline.clip.make_output_path() == "/products/today/one_own.row"


def test_a_function_of_ones_own_names_products():
    step = ClipStep("clip")
    step._make_output_path = lambda step, **_: f"{step.name}.own"
    assert step.make_output_path(suffix="any") == "clip.own"


def test_class_template_names_products(mission):
    class NamedStep(ClipStep):
        name_format = "{suffix}_of_{basename}.{ext}"

    NamedStep("clip", save_results=True).run("one_raw.row")
    assert Path("clip_of_one.row").exists()


def test_no_type_is_an_error():
    with pytest.raises(OutputError, match="output_ext"):
        ClipStep(output_ext="").make_output_path(basepath="one")


def test_saved_only_when_asked(mission):
    ClipStep().run("one_raw.row")
    assert _rows() == ["one_raw.row"]
    ClipStep("clip", save_results=True, output_dir="new/folder").run("one_raw.row")
    assert Path("new/folder/one_clip.row").exists()
    ClipStep("clip", output_file="named.row").run("one_raw.row")
    assert Path("named_clip.row").exists()


@pytest.mark.parametrize(
    ("gift", "names"),
    [
        ([Row([1.0]), Row([2.0])], ["one_0_give.row", "one_1_give.row"]),
        ((Row([1.0]), None), ["one_0_give.row"]),
        ([Row([1.0])], ["one_give.row"]),
        (None, []),
        ("text", []),
        (7, []),
    ],
)
def test_results_of_every_kind(mission, gift, names):
    step = GiveStep("give", save_results=True)
    step.gift = gift
    assert step.run("one_raw.row") == gift
    assert _rows() == sorted(["one_raw.row", *names])


def test_named_as_the_model_says(mission):
    step = GiveStep("give", save_results=True, output_use_model=True)
    step.gift = [Row([1.0], filename="a_raw.row"), Row([2.0], filename="b_cal.row")]
    step.run("one_raw.row")
    assert _rows() == ["a_give.row", "b_give.row", "one_raw.row"]


def test_save_model_saves_sequences_with_an_index(mission):
    step = ClipStep("clip")
    step.set_primary_input("one_raw.row")
    assert step.save_model([Row([1.0])]) is None
    paths = step.save_model([Row([1.0]), Row([2.0])], force=True, suffix="dark")
    assert paths == ["one_0_dark.row", "one_1_dark.row"]


def test_anything_with_a_save_is_saved(mission):
    class Table:
        def save(self, path, overwrite):
            Path(path).write_text(f"overwrite={overwrite}")

    step = GiveStep("give", save_results=True)
    step.gift = Table()
    step.run("one_raw.row")
    assert Path("one_give.row").read_text() == "overwrite=True"


def test_a_library_is_saved_model_by_model(mission):
    from jwst.datamodels import ModelLibrary
    from stdatamodels.jwst.datamodels import ImageModel

    models = [ImageModel((2, 2)) for _ in range(2)]
    for number, model in enumerate(models):
        model.meta.filename = f"m{number}_cal.fits"
        model.meta.group_id = str(number)
    step = GiveStep("give", save_results=True, output_ext=".fits")
    step.gift = ModelLibrary(models)
    step.run("one_raw.row")
    assert sorted(path.name for path in mission.glob("*.fits")) == [
        "one_0_give.fits",
        "one_1_give.fits",
    ]


def test_a_used_instance_is_as_before(mission):
    step = ClipStep("clip", output_file="named.row")
    before = {name: getattr(step, name) for name in ("output_dir", "save_results", "output_file")}
    step.run("one_raw.row")
    assert {name: getattr(step, name) for name in before} == before


def test_a_used_instance_names_products_after_its_new_input(mission):
    Row([5.0]).save("two_raw.row")
    step = ClipStep("clip", save_results=True)
    step.run("one_raw.row")
    step.run("two_raw.row")
    assert json.loads(Path("two_clip.row").read_text())["data"] == [5.0]
    assert step.save_model(Row([1.0]), suffix="dark") == "two_dark.row"


def test_a_name_that_was_set_stays(mission):
    step = ClipStep("clip", save_results=True)
    step.set_primary_input("mine_raw.row")
    step.run("one_raw.row")
    assert Path("mine_clip.row").exists()


def test_input_folder(mission):
    (mission / "data").mkdir()
    Row([3.0]).save("data/two_raw.row")
    step = ClipStep("clip")
    step.run("data/two_raw.row")
    assert step.input_dir == "data"
    assert step.open_model("two_raw.row").data == [3.0]
    assert step.make_input_path("other/two_raw.row") == "other/two_raw.row"
    assert step.make_input_path(7) == 7


def test_closeout_closes_what_it_can():
    closed = []

    class Model:
        def __init__(self, fails=False):
            self.fails = fails

        def close(self):
            if self.fails:
                raise OSError("no")
            closed.append(self)

    last = Model()
    ClipStep().closeout(to_close=[Model(fails=True), 5, last], to_del=[1])
    assert closed == [last]


def _rows():
    return sorted(path.name for path in Path().glob("*.row"))
