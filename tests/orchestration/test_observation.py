"""What really happened in a run is what its record says, and what a plan compares with."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, DarkStep, FlatStep, LanternStep

from stpipe_prefect import Pipeline, as_flow
from stpipe_prefect.exceptions import ReferenceFileError
from stpipe_prefect.provenance.record import find_record

pytestmark = [
    pytest.mark.filterwarnings("default::Warning"),  # Prefect's own
    pytest.mark.usefixtures("mission", "prefect_server"),
]

FLAT = "references/jwst/nircam/jwst_nircam_flat_0001.json"


class SavingFlatStep(FlatStep):
    """Saves what it returns."""

    spec = "save_results = boolean(default=True)"


class DarkPipeline(Pipeline, LanternStep):
    """Declares the dark alone."""

    class_alias = "lantern_undeclared"
    spec = "suffix = string(default='cal')"
    step_defs = {"dark": DarkStep}

    def process(self, data):
        return self.dark.run(data)


class SwappingPipeline(DarkPipeline):
    """Puts another step in the place of its own."""

    def process(self, data):
        self.dark = FlatStep("swapped")
        return self.dark.run(data)


class CallingPipeline(DarkPipeline):
    """Calls a step that is not its own."""

    def process(self, data):
        return FlatStep.call(self.dark.run(data), save_results=True)


class AskingCrdsPipeline(DarkPipeline):
    """Asks crds itself, as upstream's steps do."""

    def process(self, data):
        import crds

        row = self.dark.run(data)
        files = crds.getreferences(row.get_crds_parameters(), reftypes=["flat"])
        row.data = [pixel / json.loads(Path(files["flat"]).read_text()) for pixel in row.data]
        return row


class ForgivingPipeline(DarkPipeline):
    """Goes on without a reference that is not to be had."""

    def process(self, data):
        row = self.dark.run(data)
        try:
            return FlatStep().run(row)
        except ReferenceFileError:
            return row


class SavingPipeline(DarkPipeline):
    """Saves with a step that it calls, when that has run."""

    def process(self, data):
        step = FlatStep()
        row = step.run(self.dark.run(data))
        step.save_model(row, "divided", force=True)
        return row


class Frame(Row):
    """A data model with an image, which its file does not hold: it is not read again."""

    def __init__(self, image):
        super().__init__([], filename="one_raw.row")
        self.data = image

    def save(self, path):
        self.data, image = [], self.data
        saved = super().save(path)
        self.data = image
        return saved


class ImagingPipeline(DarkPipeline):
    """Makes images: one is saved where no products are, and one over another."""

    def process(self, data):
        nothing, one = np.full((20, 20), np.nan), np.ones((20, 20))
        row = self.dark.run(data)
        for suffix, image in (("none", one), ("none", nothing), ("one", one)):
            self.save_model(Frame(image), suffix, force=True)
        self.save_model([Frame(one), Frame(one)], "each", force=True)
        self.output_dir, place = "elsewhere", self.output_dir
        Path("elsewhere").mkdir()
        self.save_model(Frame(one), "aside", force=True)
        self.output_dir = place
        return row


class OtherDetectorPipeline(DarkPipeline):
    """Asks for the flat of another detector."""

    def process(self, data):
        import crds

        row = self.dark.run(data)
        asked = {name.upper(): value for name, value in row.get_crds_parameters().items()}
        asked["META.INSTRUMENT.DETECTOR"] = "NRCB2"
        assert crds.getreferences(asked, reftypes=["flat"])["flat"] == "NOT FOUND n/a"
        return row


class OtherContextPipeline(DarkPipeline):
    """Asks for the flat of a context of its own choice."""

    def process(self, data):
        import crds

        row = self.dark.run(data)
        crds.getreferences(row.get_crds_parameters(), ["flat"], context="jwst_0002.pmap")
        return row


class UnselectedPipeline(DarkPipeline):
    """Goes on where CRDS has no flat for a detector."""

    def process(self, data):
        row = self.dark.run(data)
        before, row.meta.detector = row.meta.detector, "NRCB3"
        try:
            return FlatStep().run(row)
        except ReferenceFileError:
            return row
        finally:
            row.meta.detector = before


class SettingPipeline(CalibratePipeline):
    """Sets parameters in its code."""

    def process(self, data):
        self.clip.high = 20.0
        return super().process(data)


class CuriousStep(FlatStep):
    """Asks for what it does not declare."""

    class_alias = "curious"
    reference_file_types = ()


class CuriousPipeline(DarkPipeline):
    """Has a step that asks for what it does not declare."""

    step_defs = {"dark": DarkStep, "curious": CuriousStep, "clip": ClipStep}

    def process(self, data):
        return self.clip.run(self.curious.run(self.dark.run(data)))


HOOKED = {"steps": {"dark": {"post_hooks": [FlatStep]}}}
WAYS = [
    (SwappingPipeline, {}, "swapped", [0.5, 5.0, 25.0, 50.0]),
    (CallingPipeline, {}, "FlatStep", [0.0, 4.5, 24.5, 49.5]),
    (AskingCrdsPipeline, {}, "", [0.0, 4.5, 24.5, 49.5]),
    (DarkPipeline, HOOKED, "dark.flat", [0.0, 4.5, 24.5, 49.5]),
    (
        DarkPipeline,
        {"steps": {"dark": {"post_hooks": ["lantern.steps.FlatStep"]}}},
        "dark.flat",
        [0.0, 4.5, 24.5, 49.5],
    ),
    (
        DarkPipeline,
        {"steps": {"dark": {"post_hooks": [FlatStep()]}}},
        "flat",
        [0.0, 4.5, 24.5, 49.5],
    ),
]


@pytest.fixture
def cache(lantern_cache, tmp_path, monkeypatch):
    """A cache of its own, with a second context in which only the flat is another."""
    from crds.core import utils
    from lantern.crds_cache import _write_rmap

    folder = shutil.copytree(lantern_cache, tmp_path / "crds")
    mappings = folder / "mappings/jwst"
    (folder / FLAT.replace("0001", "0003")).write_text("4.0")
    rmap = mappings / "jwst_nircam_flat_0001.rmap"
    first = rmap.read_text()
    _write_rmap(
        mappings,
        "flat",
        ("META.INSTRUMENT.DETECTOR",),
        {
            ("NRCB1",): "jwst_nircam_flat_0003.json",
            ("NRCB2",): "jwst_nircam_flat_0003.json",
            ("NRCB3",): "jwst_nircam_flat_0003.json",
        },
    )
    rmap.rename(mappings / "jwst_nircam_flat_0002.rmap")
    rmap.write_text(first)
    for kind, old, new in (
        ("nircam_0001.imap", "jwst_nircam_flat_0001", "jwst_nircam_flat_0002"),
        ("0001.pmap", "jwst_nircam_0001.imap", "jwst_nircam_0002.imap"),
    ):
        text = (mappings / f"jwst_{kind}").read_text()
        text = text.replace(old, new).replace(f"jwst_{kind}", f"jwst_{kind}".replace("1", "2"))
        from crds.core.rmap import Mapping

        name = f"jwst_{kind}".replace("1", "2")
        Mapping.from_string(text, name, ignore_checksum=True).write(str(mappings / name))
    monkeypatch.setenv("CRDS_PATH", str(folder))
    utils.clear_function_caches()
    return folder


def references(record):
    return {(row["step"], row["type"]): row for row in record.dependencies.references}


@pytest.mark.parametrize(("pipeline", "given", "step", "data"), WAYS)
def test_reference_that_is_asked_for_is_used_recorded_and_counts(
    cache, pipeline, given, step, data
):
    (product,) = (
        path
        for path in as_flow(pipeline)("one_raw.row", output_dir="out", **given)
        if path.endswith("one_cal.row")
    )
    assert Row.open(product).data == data
    row = references(find_record(Path(product)))[step, "flat"]
    assert (row["file"], len(row["sha1"])) == ("jwst_nircam_flat_0001.json", 40)

    plan = as_flow(pipeline).plan
    assert plan("one_raw.row", output_dir="out", **given).reasons == ()
    other = plan("one_raw.row", output_dir="out", crds_context="jwst_0002.pmap", **given)
    assert other.reasons == ("reference flat 0001 → 0003",)
    (cache / FLAT).write_text("8.0")
    (reason,) = plan("one_raw.row", output_dir="out", **given).reasons
    assert "jwst_nircam_flat_0001.json has different content" in reason or "damaged" in reason


def test_checkpoints_do_not_hide_that_such_a_reference_changed(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    made = []
    for context in ("jwst_0001.pmap", "jwst_0002.pmap"):
        (product,) = as_flow(CuriousPipeline)(
            "one_raw.row",
            output_dir="out",
            crds_context=context,
            checkpoint=["all"],
            steps={"clip": {"high": 1000.0}},
        )
        made.append(Row.open(product).data)
    assert made == [[0.0, 4.5, 24.5, 49.5], [0.0, 2.25, 12.25, 24.75]]


def test_reference_that_was_not_to_be_had_makes_a_product_stale_when_it_is(cache):
    (cache / FLAT).rename(cache / "flat")
    (product,) = as_flow(ForgivingPipeline)("one_raw.row", output_dir="out")
    assert Row.open(product).data == [0.0, 9.0, 49.0, 99.0]
    row = references(find_record(Path(product)))["FlatStep", "flat"]
    assert "is not in the CRDS cache" in row["missing"]
    assert as_flow(ForgivingPipeline).plan("one_raw.row", output_dir="out").reasons == ()
    (cache / "flat").rename(cache / FLAT)
    (reason,) = as_flow(ForgivingPipeline).plan("one_raw.row", output_dir="out").reasons
    assert reason == "reference flat 0001 was not available"


@pytest.mark.parametrize("pipeline", [OtherDetectorPipeline, UnselectedPipeline])
def test_flat_that_there_was_none_of_makes_a_product_stale_when_there_is_one(cache, pipeline):
    (product,) = as_flow(pipeline)("one_raw.row", output_dir="out")
    (row,) = (row for row in find_record(Path(product)).dependencies.references if "asked" in row)
    assert (row["type"], row["file"]) == ("flat", "N/A")
    assert ("missing" in row) == (pipeline is UnselectedPipeline)
    plan = as_flow(pipeline).plan
    assert plan("one_raw.row", output_dir="out").reasons == ()
    other = plan("one_raw.row", output_dir="out", crds_context="jwst_0002.pmap")
    assert other.reasons == ("reference N/A → flat 0003",)


def test_reference_of_a_context_that_the_step_names_is_not_stale_for_ever(cache):
    (product,) = as_flow(OtherContextPipeline)("one_raw.row", output_dir="out")
    row = references(find_record(Path(product)))["", "flat"]
    assert (row["file"], row["context"]) == ("jwst_nircam_flat_0003.json", "jwst_0002.pmap")
    plan = as_flow(OtherContextPipeline).plan
    assert plan("one_raw.row", output_dir="out").reasons == ()
    (cache / FLAT.replace("0001", "0003")).write_text("16.0")
    assert not plan("one_raw.row", output_dir="out").is_up_to_date


def test_steps_that_are_not_declared_are_in_the_record(cache):
    as_flow(CallingPipeline)("one_raw.row", output_dir="out")
    record = find_record(Path("out/one_cal.row"))
    assert [row["step"] for row in record.steps] == ["dark", "FlatStep"]
    rows = {(row["step"], row["parameter"]): row for row in record.dependencies.parameters}
    assert rows["FlatStep", "inverse"]["value"] is False
    assert rows["FlatStep", "save_results"] == {
        "step": "FlatStep",
        "parameter": "save_results",
        "value": True,
        "source": "set in code",
        "undeclared": True,
    }


def test_what_an_undeclared_step_saves_is_a_product(cache, mission):
    as_flow(CallingPipeline)("one_raw.row", output_dir="out")
    record = find_record(Path("out/one_cal.row"))
    assert [Path(product.path).name for product in record.products] == [
        "one_cal.row",
        "one_flatstep.row",
    ]
    assert not list(mission.glob("*flatstep*"))


def test_what_a_hook_saves_is_a_product(cache, mission):
    hook = FlatStep(save_results=True)
    as_flow(DarkPipeline)("one_raw.row", output_dir="out", steps={"dark": {"post_hooks": [hook]}})
    assert sorted(path.name for path in Path("out").glob("*.row")) == [
        "one_cal.row",
        "one_flat.row",
    ]
    assert not list(mission.glob("*flat*"))


def test_what_a_step_saves_after_it_has_run_is_a_product(cache, mission):
    as_flow(SavingPipeline)("one_raw.row", output_dir="out")
    record = find_record(Path("out/one_cal.row"))
    assert "one_divided.row" in [Path(product.path).name for product in record.products]
    assert not list(mission.glob("*divided*"))


def test_models_are_measured_when_they_are_saved(cache):
    as_flow(ImagingPipeline)("one_raw.row", output_dir="out")
    record = find_record(Path("out/one_cal.row"))
    sky = {name: found.get("sky") for name, found in record.statistics.items()}
    each = {"one_0_each.row": 1.0, "one_1_each.row": 1.0}
    assert sky == {**each, "one_none.row": None, "one_one.row": 1.0}
    assert record.statistics["one_none.row"] == {"nan_fraction": 1.0}
    (row,) = record.caveats
    assert (row["product"], row["caveat"]) == ("one_none.row", "all NaN")


def test_what_a_hook_saves_is_beside_the_products_of_its_step(cache, mission):
    dark = {"output_dir": "darks", "save_results": True}
    steps = {"dark": dark | {"post_hooks": [SavingFlatStep]}}
    as_flow(DarkPipeline)("one_raw.row", output_dir="out", steps=steps)
    assert {path.name for path in Path("darks").glob("*.row")} == {"one_dark.row", "one_flat.row"}


def test_parameters_set_in_code_are_recorded_and_make_nothing_stale(cache):
    as_flow(SettingPipeline)("one_raw.row", output_dir="out")
    record = find_record(Path("out/one_cal.row"))
    rows = {(row["step"], row["parameter"]): row for row in record.dependencies.parameters}
    high = rows["clip", "high"]
    assert (high["value"], high["source"], high["planned"]) == (20.0, "set in code", 40.0)
    plan = as_flow(SettingPipeline).plan("one_raw.row", output_dir="out", crds_context=None)
    assert plan.is_up_to_date
    (reason,) = (
        as_flow(SettingPipeline)
        .plan("one_raw.row", output_dir="out", steps={"clip": {"high": 31.0}})
        .reasons
    )
    assert reason.startswith("parameter clip.high 40.0 → 31.0")


def test_hooks_are_recorded_with_their_parameters(cache):
    def plan(hook):
        return as_flow(DarkPipeline).plan(
            "one_raw.row", output_dir="out", steps={"dark": {"post_hooks": [hook]}}
        )

    steps = {"dark": {"post_hooks": [ClipStep("mine", high=7.0)]}}
    as_flow(DarkPipeline)("one_raw.row", output_dir="out", steps=steps)
    rows = find_record(Path("out/one_cal.row")).dependencies.parameters
    (hooks,) = (row for row in rows if (row["step"], row["parameter"]) == ("dark", "post_hooks"))
    (hook,) = hooks["value"]
    assert hook["class"] == "lantern.steps.ClipStep"
    assert hook["parameters"]["high"] == 7.0
    assert plan(ClipStep("mine", high=7.0)).is_up_to_date
    assert "7.0" in str(plan(ClipStep("mine", high=8.0)))


def test_runs_in_threads_use_the_contexts_that_their_records_name(cache):
    contexts = ["jwst_0001.pmap", "jwst_0002.pmap"] * 2
    with ThreadPoolExecutor(4) as threads:
        made = list(
            threads.map(
                lambda number: as_flow(CalibratePipeline)(
                    "one_raw.row", output_dir=f"out{number}", crds_context=contexts[number]
                ),
                range(4),
            )
        )
    for (product,), context in zip(made, contexts, strict=True):
        record = find_record(Path(product))
        flat = references(record)["flat", "flat"]["file"]
        assert (record.dependencies.context, flat) == (
            context,
            f"jwst_nircam_flat_000{1 if context == contexts[0] else 3}.json",
        )
        assert Row.open(product).meta.references["flat"] == f"crds://{flat}"
    assert "CRDS_CONTEXT" not in os.environ
