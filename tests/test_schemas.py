"""What the processes of exposures do so that schemas are parsed once."""

from collections.abc import Iterator, Mapping

import asdf
import asdf.schema
import pytest

from stpipe_prefect.schemas import parse_schemas_once

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
