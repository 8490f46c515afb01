"""Checkpoints are what was kept, of this user, or none at all."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stpipe_prefect.provenance.checkpoints import checkpoints, clear, keep, usable

FINGERPRINT = "0123456789abcdef" * 4


class Model:
    """A data model that can be saved."""

    meta = SimpleNamespace(filename="a_uncal.fits")

    def save(self, path):
        Path(path).write_text("model")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def victim(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "precious").write_text("data")
    yield
    assert [path.name for path in (tmp_path / "victim").iterdir()] == ["precious"]


def kept():
    keep("a.lantern", ["jump"], FINGERPRINT, Model(), ".fits")
    return list(usable("a.lantern"))


def test_what_was_kept_is_found(store):
    (checkpoint,) = kept()
    assert checkpoint.steps == ("jump",)
    assert checkpoint.is_whole
    assert [path.name for path in store.iterdir()] == [checkpoint.folder.name]
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == [
        "0.fits",
        "checkpoint.json",
    ]


@pytest.mark.parametrize("planted", [f".{FINGERPRINT[:32]}", ".unfinished-x-12345678"])
def test_planted_link_is_not_followed(store, victim, planted):
    (store / planted).symlink_to("../victim")
    assert len(kept()) == 1
    clear()


def test_link_in_the_place_of_a_checkpoint_is_none(store, victim):
    (store / FINGERPRINT[:32]).symlink_to("../victim")
    with pytest.raises(OSError, match="Not a directory"):
        kept()
    assert checkpoints() == []


def change(content, key, value):
    content["files"][0][key] = value


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.update(steps=["jmup"]),
        lambda content: content.update(run=None),
        lambda content: change(content, "name", None),
        lambda content: change(content, "filename", "b_uncal.fits"),
        lambda content: content["files"].append("x"),
        lambda content: content.pop("is_sequence"),
        lambda content: content.update(checksum=1),
    ],
)
def test_damaged_record_is_none_and_is_replaced(store, damage):
    (checkpoint,) = kept()
    record = checkpoint.folder / "checkpoint.json"
    content = json.loads(record.read_text())
    damage(content)
    record.write_text(json.dumps(content))
    assert list(usable("a.lantern")) == []
    assert kept() == [checkpoint]


@pytest.mark.parametrize("content", ["[]", "null", "{", '{"files": null}'])
def test_record_that_is_something_else_is_none(store, content):
    (checkpoint,) = kept()
    (checkpoint.folder / "checkpoint.json").write_text(content)
    assert checkpoints() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator can be several users")
def test_checkpoint_of_another_user_is_none(store):
    (checkpoint,) = kept()
    os.chown(checkpoint.folder, 12345, -1)
    assert checkpoints() == []


def test_nothing_else_is_cleared(store):
    kept()
    (store / "precious").write_text("data")
    assert clear() > 0
    assert [path.name for path in store.iterdir()] == ["precious"]
