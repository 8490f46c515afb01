"""Reading associations as `jwst.associations` does."""

import pytest

from stpipe_prefect.association import Association, association_of, read_association
from stpipe_prefect.exceptions import InputError, NoInputError

YAML = """\
asn_id: a3001
asn_type: None
asn_rule: DMSLevel2bBase
created: 2026-11-26
products:
- name: one
  members:
  - {expname: one_rate.fits, exptype: science}
  - {expname: "s3://bucket/two_rate.fits", exptype: background}
"""


@pytest.mark.parametrize("name", ["a_asn.yaml", "a_asn.yml"])
def test_yaml_is_read(tmp_path, name):
    (tmp_path / name).write_text(YAML)
    found = read_association(tmp_path / name)
    assert (found.kind, found.product_names, found.science) == ("", ("one",), ("one_rate.fits",))
    assert found.members == ("one_rate.fits", "s3://bucket/two_rate.fits")


def test_json_with_a_comma_too_many_is_read(tmp_path):
    path = tmp_path / "a_asn.json"
    path.write_text('{"products": [{"name": "p", "members": [{"expname": "a.fits"},]}]}')
    assert read_association(path).members == ("a.fits",)


@pytest.mark.parametrize("text", ["{", "[]", "products: 3", "products: [{members: [{}]}]", "- a"])
def test_what_is_no_association_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "a_asn.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="not an association: expected JSON") as caught:
        association_of(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_absent_association(tmp_path):
    with pytest.raises(NoInputError):
        read_association(tmp_path / "a_asn.json")


def test_members_that_are_uris_keep_their_names(tmp_path):
    (tmp_path / "one_rate.fits").touch()
    (tmp_path / "a_asn.yaml").write_text(YAML)
    association = read_association(tmp_path / "a_asn.yaml")
    members = association.placed(tmp_path, "a")["products"][0]["members"]
    assert [member["expname"] for member in members] == [
        str(tmp_path / "one_rate.fits"),
        "s3://bucket/two_rate.fits",
    ]
    assert association.files(tmp_path) == [tmp_path / "one_rate.fits"]
    assert association.members[0] == "one_rate.fits"  # the copy alone was changed


def test_association_in_memory():
    table = {"products": [{"name": "p", "members": [{"expname": "a.fits"}]}]}
    assert Association(table).science == association_of(table).members == ("a.fits",)
    assert association_of("a_rate.fits") is None
