"""The history of a product in the words of W3C PROV, for archives and tools that read it.

Files are entities, known by their checksums; runs are activities that used and generated them;
software is an agent. See https://www.w3.org/TR/prov-json/.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fingerprint import sha256_of
from .graph import Made

if TYPE_CHECKING:
    from prov.model import ProvDocument

_NAMESPACES = {
    "sha256": "urn:hash::sha256:",
    "sha1": "urn:hash::sha1:",
    "run": "urn:stpipe_prefect:run:",
    "software": "urn:stpipe_prefect:software:",
    "stpipe": "urn:stpipe_prefect:",
}


def as_prov(made: Made) -> str:
    """Write a history as PROV-JSON."""
    from prov.model import ProvDocument

    document = ProvDocument()
    for prefix, uri in _NAMESPACES.items():
        document.add_namespace(prefix, uri)
    _describe(document, made)
    return str(document.unified().serialize(indent=1))


def _describe(document: ProvDocument, made: Made) -> Any:
    entity = document.entity(f"sha256:{made.file.sha256}", {"prov:label": made.name})
    if made.record is None:
        return entity
    run, made_from = made.record.run, made.record.dependencies
    name = f"run:{sha256_of(made.record.path)}"  # a flow run may be of several
    about = {"stpipe:pipeline": made_from.pipeline, "stpipe:context": made_from.context}
    activity = document.activity(name, run.get("started"), None, about)
    document.wasGeneratedBy(entity, activity)
    for package, version in made_from.software.items():
        agent = document.agent(f"software:{package}-{version}", {"prov:type": "prov:SoftwareAgent"})
        document.wasAssociatedWith(activity, agent)
    for row in made.references:
        reference = f"sha1:{row.get('sha1') or Path(row['file']).name}"
        label = {"prov:label": row["file"], "stpipe:type": row["type"]}
        document.used(activity, document.entity(reference, label))
    for each in made.inputs:
        source = _describe(document, each)
        document.used(activity, source)
        document.wasDerivedFrom(entity, source, activity)
    return entity
