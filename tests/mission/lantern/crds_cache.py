"""The mission's reference files and the rules that choose among them: a CRDS cache."""

from __future__ import annotations

import json
import pprint
from pathlib import Path
from typing import Any

CONTEXT = "jwst_0001.pmap"
SINCE = "2020-01-01 00:00:00"

REFERENCES = {"dark": {"NRCB1": 1.0, "NRCB2": 2.0}, "flat": {"NRCB1": 2.0, "NRCB2": "N/A"}}
PARAMETERS: dict[str, dict[str, Any]] = {
    "pars-clipstep": {
        "class": "lantern.steps.ClipStep",
        "name": "clip",
        "parameters": {"high": 40.0, "method": "zero"},
    },
    "pars-calibratepipeline": {
        "class": "lantern.pipelines.CalibratePipeline",
        "name": "CalibratePipeline",
        "parameters": {},
        "steps": [
            {
                "class": "lantern.steps.ClipStep",
                "name": "clip",
                "parameters": {"high": 30.0},
            }
        ],
    },
}
TYPES = (
    *REFERENCES,
    *(
        f"pars-{name}"
        for name in ("darkstep", "flatstep", "clipstep", "calibratepipeline", "nightpipeline")
    ),
)


def make_crds_cache(folder: Path) -> Path:
    """Make a cache; its folder is the value for ``CRDS_PATH``."""
    import asdf

    references = folder / "references" / "jwst" / "nircam"
    mappings = folder / "mappings" / "jwst"
    for each in (references, mappings, folder / "config" / "jwst"):
        each.mkdir(parents=True)
    rmaps = dict.fromkeys(TYPES, "N/A")
    for kind, values in REFERENCES.items():
        rules = {}
        for number, (detector, value) in enumerate(values.items(), 1):
            name = value if value == "N/A" else f"jwst_nircam_{kind}_{number:04d}.json"
            if value != "N/A":
                (references / name).write_text(json.dumps(value))
            rules[(detector,)] = name
        rmaps[kind] = _write_rmap(mappings, kind, ("META.INSTRUMENT.DETECTOR",), rules)
    for kind, tree in PARAMETERS.items():
        name = f"jwst_nircam_{kind}_0001.asdf"
        asdf.AsdfFile(tree).write_to(references / name)
        rmaps[kind] = _write_rmap(mappings, kind, (), {(): name})
    header = {"mapping": "INSTRUMENT", "instrument": "NIRCAM", "parkey": ("REFTYPE",)}
    _write(mappings / "jwst_nircam_0001.imap", header, pprint.pformat(rmaps))
    header = {"mapping": "PIPELINE", "parkey": ("META.INSTRUMENT.NAME",)}
    _write(mappings / CONTEXT, header, "{'NIRCAM': 'jwst_nircam_0001.imap'}")
    config = {
        "observatory": "jwst",
        "operational_context": CONTEXT,
        "bad_files_list": [],
        "last_synced": SINCE,
        "force_remote_mode": False,
    }
    (folder / "config" / "jwst" / "server_config").write_text(repr(config))
    return folder


def _write_rmap(
    mappings: Path, kind: str, parkey: tuple[str, ...], rules: dict[tuple[str, ...], str]
) -> str:
    name = f"jwst_nircam_{kind}_0001.rmap"
    header = {
        "mapping": "REFERENCE",
        "instrument": "NIRCAM",
        "filekind": kind.upper(),
        "parkey": (parkey, ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")),
    }
    lines = [f"{key!r} : UseAfter({{ {SINCE!r} : {file!r} }})," for key, file in rules.items()]
    _write(mappings / name, header, "\n".join(["Match({", *lines, "})"]))
    return name


def _write(path: Path, header: dict[str, Any], selector: str) -> None:
    from crds.core.rmap import Mapping

    full = {"observatory": "JWST", "name": path.name, "derived_from": "lantern", **header}
    text = f"header = {pprint.pformat(full)}\n\nselector = {selector}\n"
    Mapping.from_string(text, path.name, ignore_checksum=True).write(str(path))
