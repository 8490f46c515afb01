"""Which columns of a pool come from headers, and what depends on nothing but the exposure."""

import re
from pathlib import Path

import pytest
from astropy.io import fits

from flows.calibrate import associations
from flows.calibrate.specification import Specification
from flows.calwebb.associations import associate
from flows.calwebb.associations.pool import pool_of, read_cards
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import InputError

CARDS = {
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "EXP_TYPE": "NRC_IMAGE",
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCB1",
    "CHANNEL": "SHORT",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "FULL",
    "TARGPROP": "NGC-3603 north",
    "VISITYPE": "PRIME_TARGETED_FIXED",
}


@pytest.fixture
def exposure(tmp_path):
    """Write an exposure that is a header and nothing else."""

    def write(number, name=None, **cards):
        path = tmp_path / (name or f"jw01234001001_02101_{number:05d}_nrcb1_uncal.fits")
        held = {key: value for key, value in (CARDS | cards).items() if value is not None}
        fits.PrimaryHDU(header=fits.Header(held)).writeto(path)
        return path

    return write


def row_of(path):
    (row,) = pool_of({path: read_cards(path)})
    return dict(row)


def products(paths, **options):
    made = associate(paths, **options).associations
    return {each.path.name: each.members for each in made}


def test_one_exposure_more_renames_nothing_else(exposure):
    paths = [exposure(number) for number in (2, 3)]
    before = products(paths)
    other = exposure(1, OBSERVTN="002", TARGPROP="A star before it")
    after = products([other, *reversed(paths)])
    assert before.items() <= after.items()
    assert "jw01234-o001_tngc3603north_nircam_clear-f200w_image3_asn.json" in before


def test_the_same_exposures_give_the_same_bytes(exposure, tmp_path):
    paths = [exposure(number) for number in (1, 2)]
    one, other = tmp_path / "one", tmp_path / "other"
    written = associate(paths).written(one)
    associate(paths[::-1]).written(other)
    assert [path.read_bytes() for path in written] == [
        (other / path.name).read_bytes() for path in written
    ]


def test_two_runs_may_write_the_same_associations_at_once(exposure, tmp_path, monkeypatch):
    made, folder = associate([exposure(1)]), tmp_path / "out"

    def meanwhile(path):
        monkeypatch.undo()
        made.written(folder)

    monkeypatch.setattr(associations, "synced", meanwhile)
    written = made.written(folder)
    assert sorted(folder.iterdir()) == sorted(written)


def test_associations_made_before_are_not_counted_as_given(exposure, tmp_path):
    paths = [exposure(1)]
    made = associate(paths)
    written = made.written(tmp_path)
    assert made.count_others([*paths, *written, tmp_path / "mine_asn.json"], tmp_path) == 1


def test_without_exposures_there_is_nothing_to_associate(tmp_path):
    with pytest.raises(InputError, match="give exposures"):
        Specification(JWST, (tmp_path / "mine_asn.json",), tmp_path, associate=()).associated()


def test_imprints_are_known_by_their_header(exposure):
    row = row_of(exposure(1, IS_IMPRT=True, BKGDTARG=False))
    assert (row["is_imprt"], row["bkgdtarg"]) == ("t", "f")


def test_target_acquisitions_are_no_science(exposure):
    assert row_of(exposure(1, EXP_TYPE="NRC_TACQ"))["pntgtype"] == "target_acquisition"


def test_members_keep_the_spelling_of_their_exposures(exposure):
    path = exposure(1, name="MyField_uncal.fits")
    assert [*products([path])["MyField_image2_asn.json"]] == ["MyField_rate.fits"]


def test_targets_that_would_share_a_name_are_refused(exposure):
    paths = [exposure(1), exposure(2, TARGPROP="NGC 3603 N-orth")]
    with pytest.raises(InputError, match=r"tngc3603north.*--pool"):
        associate(paths)


def test_an_exposure_that_does_not_say_its_observation_is_named(exposure):
    path = exposure(1, OBSERVTN=None)
    (remark,) = associate([path, exposure(2)]).remarks
    assert remark.startswith(f"{path}: no OBSERVTN")


def test_an_image_without_its_filter_is_named_and_the_others_are_associated(exposure):
    one = exposure(1)
    made = associate([one, exposure(2, FILTER=None)])
    assert {each.path.name: each.members for each in made.associations} == products([one])
    (remark,) = made.remarks
    assert re.search(r"_00002_nrcb1_uncal.fits: no FILTER in its primary header", remark)


def test_groups_by_keywords_replace_those_of_stage_3(exposure):
    paths = [exposure(1), exposure(2, FILTER="F115W"), exposure(3, OBSERVTN="002")]
    made = products(paths, by=["target", "filter"])
    threes = {name: members for name, members in made.items() if "image3" in name}
    assert threes == {
        "jw01234_nrc-image_ngc-3603-north_f200w_image3_asn.json": (
            "jw01234001001_02101_00001_nrcb1_cal.fits",
            "jw01234001001_02101_00003_nrcb1_cal.fits",
        ),
        "jw01234_nrc-image_ngc-3603-north_f115w_image3_asn.json": (
            "jw01234001001_02101_00002_nrcb1_cal.fits",
        ),
    }
    assert len(made) - len(threes) == len(paths)


def test_an_unknown_keyword_is_named_with_the_one_meant(exposure):
    with pytest.raises(InputError, match=r"by=filtre: no such keyword.*FILTER"):
        associate([exposure(1)], by=["filtre"])


def test_a_pool_of_dms_takes_the_place_of_headers(exposure, tmp_path):
    paths = [exposure(number) for number in (1, 2, 3)]
    pool = pool_of({path: read_cards(path) for path in paths[:2]})
    pool["targetid"] = ["7", "7"]
    file = tmp_path / "jw01234_pool.csv"
    pool.write(str(file))
    fits.delval(paths[0], "OBSERVTN")
    made = associate(paths, pool=file)
    assert "jw01234-o001_t007_nircam_clear-f200w_image3_asn.json" in {
        each.path.name for each in made.associations
    }
    assert made.remarks == (f"{paths[2].name}: is not in {file}, so it is in no association",)


@pytest.mark.parametrize("text", ["", "nothing | of | this\n1|2|3\n"])
def test_what_is_no_pool_is_refused(exposure, tmp_path, text):
    file = Path(tmp_path / "pool.csv")
    file.write_text(text)
    with pytest.raises(InputError, match=r"pool.csv: not an association pool: [^:]*$"):
        associate([exposure(1)], pool=file)


def test_background_observations_are_named_where_no_header_says_what_they_are_for(exposure):
    made = associate([exposure(1), exposure(2, OBSERVTN="003", BKGDTARG=True)])
    (remark,) = made.remarks
    assert remark.startswith("background observation 003: no header says of which others")


MSA = {"EXP_TYPE": "NRS_MSASPEC", "INSTRUME": "NIRSPEC", "MSAMETFL": "jw01234001001_01_msa.fits"}


def test_files_of_the_micro_shutters_are_asked_for_before_anything_runs(exposure, tmp_path):
    made = associate([exposure(1, **MSA)])
    with pytest.raises(InputError, match=r"_00001_.*needs jw01234001001_01_msa.fits.*archive"):
        made.check(tmp_path / "out")


def test_files_of_the_micro_shutters_are_put_beside_the_products(exposure, tmp_path):
    made = associate([exposure(1, **MSA)])
    (tmp_path / MSA["MSAMETFL"]).write_bytes(b"shutters")
    made.check(tmp_path / "out")
    made.written(tmp_path / "out")
    assert (tmp_path / "out" / MSA["MSAMETFL"]).read_bytes() == b"shutters"


def test_catalogues_are_opened_where_the_command_runs(
    upstream_pool, headers_of, tmp_path, monkeypatch
):
    made = associate(headers_of(upstream_pool("jw87800_20180412T163456_pool")))
    with pytest.raises(InputError, match=r"sourcecat.*run the command in"):
        made.check(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.check(tmp_path)
