"""What records alone tell: that there is nothing to do, and only where that is certain."""

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from shutil import copy, copytree

import pytest
from crds.core import utils

from flows.calibrate.campaign import Campaign
from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from stpipe_prefect.parameters.resolution import Layer, Source
from stpipe_prefect.provenance.collect import described, fingerprint_without_parameters
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.imports import code_sha256
from stpipe_prefect.provenance.record import Record, record_path, run_name

PIPELINE = "calwebb_detector1"
CLASS = "jwst.pipeline.calwebb_detector1.Detector1Pipeline"
FLAT = "jwst_nircam_flat_0001.json"


@dataclass
class Made:
    """A record, and what it names."""

    record: Record
    cache: Path

    @property
    def folder(self):
        return self.record.path.parent

    def write(self, **changed):
        run = self.record.run | changed.pop("run", {})
        made_from = replace(self.record.dependencies, **changed)
        replace(self.record, run=run, dependencies=made_from).write(by_way_of=self.folder)

    def unchanged(self, **options):
        job = Job(self.folder / "one_raw.row", (PIPELINE,), makes=(frozenset({"one_cal"}),))
        return [*Campaign(JWST, [job], self.folder, **options).unchanged.values()]


@pytest.fixture
def made(mission, lantern_cache, monkeypatch):
    """The record of a run of jwst, as if one had been, with a hook and a parameter file."""
    cache = copytree(lantern_cache, mission / "crds")
    rules = cache / "mappings/jwst/jwst_0001.pmap"
    copy(rules, rules.with_name("jwst_0002.pmap"))
    monkeypatch.setenv("CRDS_PATH", str(cache))
    monkeypatch.syspath_prepend(mission)
    utils.clear_function_caches()
    for name, text in (
        ("hooks.py", "LIMIT = 1\n"),
        ("one.cfg", "high = 2\n"),
        ("one_cal.row", "{}"),
    ):
        (mission / name).write_text(text)
    files = {
        name: FileContent.of(mission / name) for name in ("one_raw.row", "one.cfg", "one_cal.row")
    }
    row = {"step": "", "parameter": "file", "value": "one.cfg", "source": "step code"}
    steps = [""]
    made_from = Dependencies(
        pipeline=CLASS,
        observatory="jwst",
        context="jwst_0001.pmap",
        server="",
        request=fingerprint_without_parameters("Detector1Pipeline"),
        inputs=[files["one_raw.row"]],
        parameters=[{**row, "files": [files["one.cfg"].as_json()]}],
        references=[described({"step": "flat", "type": "flat", "file": FLAT}, "jwst")],
        software={},
        code=[
            {"name": "jwst", "version": version("jwst"), "sha256": "", "steps": steps},
            {"name": "hooks", "version": "", "sha256": code_sha256("LIMIT = 1"), "steps": steps},
        ],
    )
    path = record_path(mission, run_name("one_raw.row", PIPELINE))
    run = {"pipeline": PIPELINE, "started": "2024-01-01", "outcome": "Completed"}
    record = Record(path, made_from, run, [], [files["one_cal.row"]])
    record.write(by_way_of=mission)
    return Made(record, cache)


def test_nothing_to_do_is_told_by_the_record(made):
    (job,) = made.unchanged()
    (plan,) = job.plans
    assert plan.is_up_to_date and plan.products == (made.folder / "one_cal.row",)
    assert job.cached().outcome == "Cached"
    assert Campaign(JWST, [job], made.folder).up_to_date() == [job]


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


CHANGES = {
    "input": lambda made: edit(made.folder / "one_raw.row", "50.0", "51.00"),
    "product": lambda made: edit(made.folder / "one_cal.row", "{}", "{ }"),
    "product missing": lambda made: (made.folder / "one_cal.row").unlink(),
    "reference": lambda made: edit(made.cache / "references/jwst/nircam" / FLAT, "2.0", "2.25"),
    "bad reference": lambda made: edit(
        made.cache / "config/jwst/server_config",
        "'bad_files_list': []",
        f"'bad_files_list': ['{FLAT}']",
    ),
    "file of a parameter": lambda made: edit(made.folder / "one.cfg", "2", "31"),
    "code of a hook": lambda made: edit(made.folder / "hooks.py", "1", "2"),
    "record": lambda made: made.record.path.write_text(made.record.path.read_text()[:-9]),
    "version": lambda made: made.write(
        code=[{"name": "jwst", "version": "0.9", "sha256": "", "steps": [""]}]
    ),
    "unversioned": lambda made: made.write(
        code=[{"name": "jwst", "version": "", "sha256": "0", "steps": [""]}]
    ),
    "code unknown": lambda made: made.write(code=made.record.dependencies.code[1:]),
    "first edition": lambda made: made.write(code=None),
    "class": lambda made: made.write(pipeline=CLASS.replace("Detector1", "Dark")),
    "package": lambda made: made.write(pipeline=CLASS.replace("jwst.", "mine.")),
    "alias": lambda made: made.write(run={"pipeline": "mine"}),
    "request": lambda made: made.write(request=fingerprint_without_parameters("Mine")),
    "parameter files": lambda made: made.write(request=""),
    "opaque": lambda made: made.write(opaque=["a function"]),
    "missing reference": lambda made: made.write(
        references=[{"step": "", "type": "flat", "file": FLAT, "missing": "gone"}]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_different_is_for_a_closer_look(made, change):
    assert made.unchanged()
    change(made)
    utils.clear_function_caches()
    assert not made.unchanged()


@pytest.mark.parametrize(
    "options",
    [
        {"overwrite": True},
        {"crds_context": "jwst_0002.pmap"},
        {"ignore": ["version"]},  # which is none
        {"given": {"steps": {"jump": {"rejection_threshold": "5"}}}},
    ],
    ids=str,
)
def test_what_the_record_alone_cannot_answer(made, options):
    assert not made.unchanged(**options)


def test_parameters_of_crds_switched_off_are_a_change(made, monkeypatch):
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    assert not made.unchanged()


def test_layers_of_a_job_count(made):
    def unchanged(*layers):
        job = Job(made.folder / "one_raw.row", (PIPELINE,), layers={PIPELINE: layers})
        return [*Campaign(JWST, [job], made.folder).unchanged]

    rule = Layer(Source("rule"), {"steps": {"jump": {"rejection_threshold": 6.0}}})
    assert unchanged() and not unchanged(rule)
    made.write(request=fingerprint_without_parameters("Detector1Pipeline", [rule]))
    assert unchanged(rule) and not unchanged()


def test_degraded_products_are_up_to_date_unless_strict(made):
    step = {"step": "jump", "outcome": "Degraded", "reason": "no stars", "seconds": 1.0}
    replace(made.record, steps=[step]).write(by_way_of=made.folder)
    (job,) = made.unchanged()
    assert job.cached().degraded == ["one_raw.row: calwebb_detector1, jump: no stars"]
    assert not made.unchanged(strict=True)


def test_association_that_became_unreadable_harms_no_other(made):
    jobs = [Job(made.folder / name, (PIPELINE,)) for name in ("one_raw.row", "both_asn.json")]
    jobs[1].input.write_text("{")
    assert [*Campaign(JWST, jobs, made.folder).unchanged] == [jobs[0].input]


def test_input_that_another_job_makes_is_a_change(made):
    name = "one_raw"
    maker = Job(made.folder / "zero_raw.row", (PIPELINE,), makes=(frozenset({name}),))
    maker.input.write_text(json.dumps({}))
    taker = Job(made.folder / "one_raw.row", (PIPELINE,), reads=({name: "one_raw.row"},))
    assert [*Campaign(JWST, [taker], made.folder).unchanged] == [taker.input]
    assert not Campaign(JWST, [maker, taker], made.folder).unchanged


def test_degraded_member_is_for_a_closer_look_where_it_is_to_be_dropped(made):
    exposure, product = (made.folder / name for name in ("zero_raw.row", "zero_cal.row"))
    for path in (exposure, product):
        path.write_text("{}")
    step = {"step": "jump", "outcome": "Degraded", "reason": "no stars", "seconds": 1.0}
    replace(
        made.record,
        path=record_path(made.folder, run_name(exposure.name, PIPELINE)),
        dependencies=replace(made.record.dependencies, inputs=[FileContent.of(exposure)]),
        steps=[step],
        products=[FileContent.of(product)],
    ).write(by_way_of=made.folder)
    maker = Job(exposure, (PIPELINE,), makes=(frozenset({"zero"}),))
    taker = Job(made.folder / "one_raw.row", (PIPELINE,), reads=({"zero": product.name},))

    def unchanged(missing):
        return [*Campaign(JWST, [maker, taker], made.folder, missing=missing).unchanged]

    assert unchanged("fail") == [maker.input, taker.input]
    assert unchanged("drop") == unchanged("wait") == [maker.input]
