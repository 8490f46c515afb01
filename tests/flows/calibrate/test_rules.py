"""Rules and exclusions of campaign files: which jobs they are for, and what is refused."""

import json

import numpy as np
import pytest
from astropy.io import fits

from flows.calibrate.rules import check_rules
from flows.calibrate.selectors import Selector
from flows.calibrate.specification import specification
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import InputError, ParameterError, UsageError

A, B, C = (
    f"jw01234001001_02101_0000{each}_{detector}"
    for each, detector in ((1, "nrcb1"), (2, "nrcb1"), (1, "nrca2"))
)


@pytest.fixture
def exposures(tmp_path):
    """Raw exposures that are headers alone: two of F200W on NRCB1, one of F150W on NRCA2."""
    for name, filter in ((A, "F200W"), (B, "F200W"), (C, "F150W")):
        write(tmp_path / f"{name}_uncal.fits", filter)
    return tmp_path


def write(path, filter):
    primary = fits.PrimaryHDU()
    primary.header.update(
        TELESCOP="JWST", EXP_TYPE="NRC_IMAGE", TSOVISIT=False, FILTER=filter, NGROUPS=5
    )
    primary.header["DETECTOR"] = path.name.split("_")[3].upper()
    primary.header["TARGPROP"] = "M 51"
    column = fits.Column("ASDF_METADATA", "1B", array=np.zeros(1, np.uint8))
    fits.HDUList([primary, fits.BinTableHDU.from_columns([column], name="ASDF")]).writeto(path)


def associate(folder, name, *members):
    listed = [{"expname": f"{each}_cal.fits", "exptype": "science"} for each in members]
    table = {"asn_type": "image3", "products": [{"name": name, "members": listed}]}
    (folder / f"{name}_asn.json").write_text(json.dumps(table))


@pytest.fixture
def wanted(exposures):
    """What the command makes of a campaign file, whose inputs are the folder."""

    def wanted(text, **said):
        file = exposures / "campaign.toml"
        file.write_text(f'inputs = ["."]\n{text}')
        return specification(JWST, [str(file)], exposures / "out", **said)

    return wanted


def layers(jobs):
    """What the jobs of a pipeline are given by whom."""
    return {
        (job.input.name.removesuffix("_uncal.fits"), pipeline): job.says(pipeline)
        for job in jobs
        for pipeline in job.layers
    }


@pytest.mark.parametrize(
    "when",
    [
        {"filter": "f200w"},
        {"FILTER": ["F150W", "F200W"], "detector": "NRCB*"},
        {"detector": "nrcb1", "ngroups": 5, "tsovisit": False},
        {"target": "M 51", "detector": "nrcb1"},
        {"program": "01234", "observation": 1, "detector": "NRCB1"},
        {"visit": "001", "activity": "01", "filter": "*200*"},
    ],
)
def test_rule_is_for_exposures_whose_header_or_name_says_so(wanted, when):
    said = ", ".join(f"{name} = {json.dumps(value)}" for name, value in when.items())
    spec = wanted(f"[[for]]\nwhen = {{{said}}}\ncalwebb_image2.steps.resample.skip = true\n")
    jobs, refused = spec.jobs(None)
    source = f"campaign.toml, for {Selector(when)}"
    parameters = {source: {"steps": {"resample": {"skip": True}}}}
    assert not refused
    assert layers(jobs) == dict.fromkeys([(A, "calwebb_image2"), (B, "calwebb_image2")], parameters)


def test_later_rule_comes_over_an_earlier_one_and_both_over_what_is_for_all(wanted):
    spec = wanted(
        "calwebb_detector1.steps.jump.skip = false\n"
        '[[for]]\nwhen = {filter = "F200W"}\ncalwebb_detector1.steps.jump.skip = true\n'
        "[[for]]\nwhen = {exposure = 2}\ncalwebb_detector1.steps.jump.skip = false\n"
    )
    jobs, _ = spec.jobs(None)
    found = {job.input.name: job.layers["calwebb_detector1"] for job in jobs}
    assert [str(layer.source) for layer in found[f"{B}_uncal.fits"]] == [
        "campaign.toml",
        "campaign.toml, for filter=F200W",
        "campaign.toml, for exposure=2",
    ]
    assert [str(layer.source) for layer in found[f"{C}_uncal.fits"]] == ["campaign.toml"]
    assert all(layer.over_files for layer in found[f"{B}_uncal.fits"])


RULE = '[[for]]\nwhen = {filter = "F200W"}\n'


def test_rule_for_an_association_asks_what_its_members_are_made_of(wanted, exposures):
    associate(exposures, "mosaic", A, B)
    associate(exposures, "other", C)
    jobs, _ = wanted(f"{RULE}calwebb_image3.steps.resample.skip = true\n").jobs(None)
    assert [*layers(jobs)] == [("mosaic_asn.json", "calwebb_image3")]


def test_member_that_nothing_makes_is_known_by_its_own_file(wanted, exposures):
    (exposures / "out").mkdir()
    (exposures / f"{A}_uncal.fits").unlink()
    write(exposures / "out" / f"{A}_cal.fits", "F200W")
    associate(exposures, "mosaic", A, B)
    jobs, _ = wanted(f"{RULE}calwebb_image3.steps.resample.skip = true\n").jobs(None)
    assert [*layers(jobs)] == [("mosaic_asn.json", "calwebb_image3")]


def test_rule_that_holds_for_some_members_only_is_refused(wanted, exposures):
    associate(exposures, "mosaic", A, C)
    spec = wanted(f"{RULE}calwebb_image3.steps.resample.skip = true\n")
    with pytest.raises(UsageError) as raised:
        spec.jobs(None)
    assert str(raised.value) == (
        "campaign.toml: for[1].when: filter=F200W holds for some members of mosaic_asn.json: "
        f"{A}_uncal.fits; not for {C}_uncal.fits (filter=F150W)"
    )


def test_members_may_differ_in_what_concerns_only_other_pipelines(wanted, exposures):
    associate(exposures, "mosaic", A, C)
    jobs, _ = wanted(f"{RULE}calwebb_detector1.steps.jump.skip = true\n").jobs(None)
    assert {name for name, _ in layers(jobs)} == {A, B}


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ('filtr = "F200W"', ".filtr: no exposure has such a keyword (did you mean 'filter'?)"),
        (
            'filter = "F770W"',
            f": filter=F770W holds for none of 3 exposures; {C}_uncal.fits has filter=F150W",
        ),
    ],
)
def test_selector_that_matches_nothing_is_refused(wanted, when, why):
    spec = wanted(f"[[for]]\nwhen = {{{when}}}\ncalwebb_image3.steps.resample.skip = true\n")
    with pytest.raises(UsageError) as raised:
        spec.jobs(None)
    assert str(raised.value) == f"campaign.toml: for[1].when{why}"


def test_parameters_that_no_pipeline_has_are_refused(wanted):
    spec = wanted(
        "calwebb_detector1.steps.jmp.skip = true\n"
        f'{RULE}calwebb_image3.steps.resample.skip = "perhaps"\ncalwebb_spec2.suffx = "x"\n'
    )
    with pytest.raises(ParameterError) as raised:
        check_rules(spec.campaign_file, JWST, [])
    assert str(raised.value).splitlines() == [
        "campaign.toml: calwebb_detector1: there is no step 'steps.jmp' (did you mean 'jump'?)",
        "campaign.toml: for[1].calwebb_image3: steps.resample.skip = 'perhaps' is not allowed: "
        "expected boolean(default=False)",
        "campaign.toml: for[1].calwebb_spec2: there is no parameter 'suffx' "
        "(did you mean 'suffix'?)",
    ]


def test_what_the_command_says_goes_over_the_file(wanted, exposures):
    spec = wanted('stage = 1\ncontext = "jwst_1.pmap"\noutput = "there"\n')
    assert (spec.stage, spec.crds_context) == (1, "jwst_1.pmap")
    assert spec.output_dir == exposures / "there"
    spec = wanted('stage = 1\ncontext = "jwst_1.pmap"\n', stage=2, crds_context="jwst_2.pmap")
    assert (spec.stage, spec.crds_context) == (2, "jwst_2.pmap")
    spec = wanted('associate = {by = ["filter"], missing = "drop"}\n', missing="wait")
    assert (spec.associate, spec.missing) == (("filter",), "wait")
    spec = wanted('associate = {by = ["filter"], missing = "drop"}\n', stage=1)
    assert (spec.associate, spec.missing) == (None, "fail")


def test_excluded_inputs_are_left_out_with_their_reasons(wanted):
    spec = wanted(f'[exclude]\n"{A}_*" = "guide star lost"\n"{C}_uncal.fits" = "stray light"\n')
    jobs, refused = spec.jobs(None)
    assert [job.input.name for job in jobs] == [f"{B}_uncal.fits"]
    assert not refused
    assert {path.name: why for path, why in spec.excluded.items()} == {
        f"{A}_uncal.fits": "guide star lost",
        f"{C}_uncal.fits": "stray light",
    }
    assert not spec.unused_exclusions(None)


def test_exclusion_that_matches_nothing_is_pointed_out(wanted):
    spec = wanted('[exclude]\n"jw01234001001_02101_00001_nrcb2_uncal.fits" = "gone"\n"*z*" = "?"\n')
    assert spec.unused_exclusions(None) == [
        "campaign.toml: exclude: 'jw01234001001_02101_00001_nrcb2_uncal.fits' matches none of the "
        f"inputs (did you mean '{A}_uncal.fits'?)",
        "campaign.toml: exclude: '*z*' matches none of the inputs",
    ]


@pytest.mark.parametrize("pattern", [f"{A}_uncal.fits", f"{A}_*"])
def test_given_association_with_an_excluded_member_is_refused(wanted, exposures, pattern):
    associate(exposures, "mosaic", A, B)
    jobs, refused = wanted(f'[exclude]\n"{pattern}" = "guide star lost"\n').jobs(None)
    assert [job.input.name for job in jobs] == [f"{C}_uncal.fits", f"{B}_uncal.fits"]
    ((path, error),) = refused.items()
    assert path.name == "mosaic_asn.json"
    assert isinstance(error, InputError)
    assert str(error) == (
        f"{path}: its member {A}_cal.fits is excluded (guide star lost) by campaign.toml: take it "
        "out of the association, or exclude this as well"
    )
    both = f'[exclude]\n"{pattern}" = "guide star lost"\n"mosaic_asn.json" = "too few"\n'
    assert not wanted(both).jobs(None)[1]


INSERT = """
[[insert]]
pipeline = "calwebb_detector1"
after = "jump"
step = "cleaning.stripes"
when = {detector = "NRCB*"}
parameters = {amount = 2}
[[insert]]
pipeline = "calwebb_detector1"
before = "stripes"
step = "cleaning.stripes"
name = "first"
when = {exposure = 1, filter = "F200W"}
"""


@pytest.fixture
def cleaning(exposures, monkeypatch):
    (exposures / "cleaning.py").write_text("def stripes(model, amount=1.0): return model\n")
    monkeypatch.chdir(exposures)


def test_steps_are_inserted_where_the_file_says(wanted, cleaning):
    spec = wanted(INSERT)
    jobs, _ = spec.jobs(None)
    found = {job.input.name: job.inserts for job in jobs}
    assert found[f"{C}_uncal.fits"] == {}
    (later,) = found[f"{B}_uncal.fits"]["calwebb_detector1"]
    assert found[f"{A}_uncal.fits"]["calwebb_detector1"][0] == later
    assert (later.path, later.place, later.parameters) == (
        "cleaning.stripes",
        "after jump",
        {"amount": 2},
    )
    assert later.source == "campaign.toml, insert for detector=NRCB*"
    check_rules(spec.campaign_file, JWST, jobs)
    (line,) = next(job for job in jobs if job.input.name[:29] == B[:29]).parameter_lines()
    assert line == f"{later.source}, calwebb_detector1: cleaning.stripes after jump: amount=2"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "cleaning.stripes",
            "cleaning.strips",
            "insert[1]: step to insert after jump: 'cleaning' has no class 'strips' (did you ",
        ),
        (
            'after = "jump"',
            'after = "jmp"',
            "insert: calwebb_detector1 has no step 'jmp' to insert",
        ),
        ('after = "jump"', 'after = "first"', "insert: steps are inserted in a circle: "),
        ("amount", "amont", "insert[1]: calwebb_detector1: there is no parameter 'steps."),
        ("amount = 2", 'amount = "much"', "insert[1]: "),
        (
            'exposure = 1, filter = "F200W"',
            'detector = "NRCA*"',
            "insert: calwebb_detector1 has no ",
        ),
    ],
)
def test_steps_that_cannot_be_inserted_are_refused(wanted, cleaning, old, new, problem):
    spec = wanted(INSERT.replace(old, new))
    jobs, _ = spec.jobs(None)
    with pytest.raises(ParameterError) as raised:
        check_rules(spec.campaign_file, JWST, jobs)
    assert str(raised.value).splitlines()[0].startswith(f"campaign.toml: {problem}")


def test_parameters_of_an_inserted_step_go_to_the_jobs_that_have_it(wanted, cleaning):
    tables = """
[calwebb_detector1.steps]
stripes.amount = 3
jump.rejection_threshold = 5
[[for]]
when = {exposure = 2}
calwebb_detector1.steps.stripes.amount = 4
"""
    spec = wanted(tables + INSERT)
    jobs, _ = spec.jobs(None)
    check_rules(spec.campaign_file, JWST, jobs)
    said = {
        job.input.name: [layer.values["steps"] for layer in job.layers["calwebb_detector1"]]
        for job in jobs
    }
    for_all = {"jump": {"rejection_threshold": 5}}
    assert said[f"{C}_uncal.fits"] == [for_all]
    assert said[f"{A}_uncal.fits"] == [{"stripes": {"amount": 3}, **for_all}]
    assert said[f"{B}_uncal.fits"][1:] == [{"stripes": {"amount": 4}}]
    given = {"steps": {"stripes": {"amount": "5"}, "first": {"amount": "6"}}}
    campaign = spec.campaign(jobs, given, None)
    have = {
        job.input.name: campaign.given_to(
            "calwebb_detector1", job.inserts.get("calwebb_detector1", ())
        )
        for job in jobs
    }
    assert have == {
        f"{A}_uncal.fits": given,
        f"{B}_uncal.fits": {"steps": {"stripes": {"amount": "5"}}},
        f"{C}_uncal.fits": {"steps": {}},
    }
