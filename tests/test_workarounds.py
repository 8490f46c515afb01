"""Parts of crds and asdf that are replaced, and what is said when they are gone."""

from collections.abc import Iterator, Mapping

import asdf
import asdf.schema
import pytest
from crds.client import api
from crds.core import log

from stpipe_prefect import workarounds
from stpipe_prefect.workarounds import parse_schemas_once

ADDRESS = "asdf://example.org/schemas/word-1.0.0"


class Read(Mapping[str, bytes]):
    """Schemas that count how often one is asked for."""

    times = 0

    def __getitem__(self, address: str) -> bytes:
        self.times += 1
        return b"%YAML 1.1\n---\ntype: string\n"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter([ADDRESS])


def test_a_schema_is_read_once_and_holds_as_before(monkeypatch):
    monkeypatch.setattr(
        asdf.schema, "_make_schema_loader", asdf.schema._make_schema_loader
    )  # put back after the test
    parse_schemas_once()
    schemas = Read()
    with asdf.config_context() as config:
        config.add_resource_mapping(schemas)
        for _ in range(3):
            asdf.schema.validate("right", schema={"$ref": ADDRESS})
            with pytest.raises(asdf.ValidationError, match="is not of type 'string'"):
                asdf.schema.validate(3, schema={"$ref": ADDRESS})
    assert schemas.times == 1


def load_schemas():
    parse_schemas_once()


def go_offline():
    with workarounds.client_offline("jwst"):
        pass


def silence_crds():
    with workarounds.crds_console_off():
        pass


def answer_for_crds():
    with workarounds.crds_answers_replaced(lambda original: original):
        pass


@pytest.mark.parametrize(
    ("owner", "name", "use"),
    [
        (asdf.schema, "_make_schema_loader", load_schemas),
        (api, "S", go_offline),
        (api, "cache_references", answer_for_crds),
        (log, "THE_LOGGER", silence_crds),
    ],
)
def test_a_part_that_is_gone_is_said_once(monkeypatch, caplog, owner, name, use):
    workarounds.say_missing.cache_clear()
    monkeypatch.delattr(owner, name)
    for _ in range(2):
        use()
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert name in said[0]
    assert "any more" in said[0]
    workarounds.say_missing.cache_clear()
