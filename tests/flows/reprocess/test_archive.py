"""What is found in an archive, and in which order."""

import pytest

from flows.reprocess.archive import folders_of
from stpipe_prefect.exceptions import InputError


@pytest.fixture
def tree(tmp_path):
    """Programmes out of order, products of earlier runs, and what is no archive's business."""
    for name in (
        "b/jw00002001001_02101_00001_nrcb1_uncal.fits",
        "b/jw00001001001_02101_00002_nrcb1_uncal.fits",
        "b/jw00001001001_02101_00002_nrcb1_rate.fits",
        "a/jw00002001001_02101_00009_nrcb1_uncal.fits",
        "a/previous/2026-01-01T000000/jw00002001001_02101_00009_nrcb1_rate.fits",
        "a/.unfinished-jw00002/jw00002001001_02101_00009_nrcb1_rate.fits",
        "c/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "b" / "jw00001-o001_image3_00001_asn.json").write_text(
        '{"asn_type": "image3", "products": [{"members": [{"expname": "x_cal.fits"}]}]}'
    )
    return tmp_path


def test_a_tree_is_gone_through_by_program_and_folder(tree):
    found = [[str(path.relative_to(tree)) for path in paths] for _, paths in folders_of([tree])]
    assert found == [
        [
            "b/jw00001001001_02101_00002_nrcb1_uncal.fits",
            "b/jw00001-o001_image3_00001_asn.json",  # after what it combines
        ],
        ["a/jw00002001001_02101_00009_nrcb1_uncal.fits"],
        ["b/jw00002001001_02101_00001_nrcb1_uncal.fits"],
    ]


def test_what_two_archives_share_is_found_once(tree):
    assert list(folders_of([tree, tree / "b"])) == list(folders_of([tree]))


def test_names_in_a_list_are_relative_to_it(tree):
    (tree / "list.txt").write_text(
        "a/jw00002001001_02101_00009_nrcb1_uncal.fits\n\n  b/jw00009001001_uncal.fits \n"
    )
    found = [path for _, paths in folders_of([tree / "list.txt"]) for path in paths]
    assert found == [
        tree / "a" / "jw00002001001_02101_00009_nrcb1_uncal.fits",
        tree / "b" / "jw00009001001_uncal.fits",  # whether it is there is found out when it is read
    ]


def test_an_empty_tree_has_nothing(tree):
    assert list(folders_of([tree / "c"])) == []


def test_what_is_no_archive_is_said(tree):
    with pytest.raises(InputError, match="nowhere: no such folder or list of exposures"):
        list(folders_of([tree / "nowhere"]))
    (tree / "one.fits").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"one\.fits: expected a folder, or a text file"):
        list(folders_of([tree / "one.fits"]))


def test_campaign_file_is_sent_to_the_command_of_its_mission(tmp_path):
    with pytest.raises(InputError, match=r"campaign\.toml: is a campaign file: run it again with"):
        list(folders_of([tmp_path / "campaign.toml"]))
