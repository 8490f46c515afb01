"""The command ``reproduce``: makes products again from their records, and compares them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..association import association_of
from ..comparison.causes import all_differences
from ..comparison.products import Comparison, compare_products
from ..exceptions import InputError
from ..products.names import folder_path
from ..products.staging import check_output_dir
from ..provenance.code import Code
from ..provenance.inserted import place
from ..provenance.packages import versions
from ..provenance.record import SUFFIX, Record, find_record
from ..provenance.reproduction import configured, moved, obstacles, run_again, unrecorded
from ..user import check_user
from .exit import quiet

if TYPE_CHECKING:
    import argparse


def reproduce(options: argparse.Namespace) -> int:
    """Make products again, or export how; 1 if one differs from what it was."""
    check_user()  # jwst, too, asks for the user's name
    records = {}
    for product in map(Path, options.products):
        record = moved(find_record(product))
        records[record.path] = record
    find_problems = unrecorded if options.export else obstacles
    problems = [
        f"{record.path.name}: {problem}"
        for record in records.values()
        for problem in find_problems(record)
    ]
    if options.export:
        problems += [
            f"{record.path.name}: step {row['step']} was inserted {place(row)}, which strun "
            "cannot do: make the products again without --export"
            for record in records.values()
            for row in record.dependencies.insertions
        ]
    if problems:
        raise InputError("\n".join(problems))
    if options.export:
        for record in records.values():
            _export(record, folder_path(options.export))
        return 0
    same = []
    for record in records.values():  # those of two folders may have products of the same names
        with TemporaryDirectory(prefix="reproduced-") as temporary:
            folder = folder_path(options.output_dir or temporary)
            check_output_dir(folder)
            same.append(_reproduced(record, folder, options.debug))
    return 0 if all(same) else 1


def _reproduced(record: Record, folder: Path, debug: bool) -> bool:
    """Make the products of one record again, and say of each whether it is the same."""
    for product in record.products:
        if (folder / Path(product.path).name).exists():
            raise InputError(f"{folder} has {Path(product.path).name}: choose an empty folder")
    with quiet(unless=debug):
        made = run_again(record, folder)
    different = []
    for before, now in zip(record.products, made, strict=True):
        if not now.is_file():
            different.append(f"{now.name}: not made again")
            continue
        try:
            compared = compare_products(Path(before.path), now)
        except InputError as error:  # of one that is lost: that is why it is made again
            different.append(f"{now.name}: made again, but not compared: {error}")
            continue
        if compared.is_identical:
            print(f"{now.name}: bit-identical")
        else:
            different.append(f"{now.name}: different: {_differences(compared)}")
    for line in different:
        print(line)
    if different:
        for cause in _causes(record):
            print(f"  possible cause: {cause}")
    return not different


def _differences(compared: Comparison) -> str:
    parts = [part for part in compared.parts if not part.is_identical]
    return ", ".join(
        f"{part.name} ({part.figures.differing} values)" if part.figures else part.name
        for part in parts
    )


def _causes(record: Record) -> list[str]:
    """List what is not as it was when the products were made."""
    made_from = record.dependencies
    code, _ = Code().of(configured(record))
    software = dict(versions(made_from.pipeline.partition(".")[0]))
    changed = all_differences(made_from, replace(made_from, code=code, software=software))
    edited = [
        f"{product.path} was changed since it was made"
        for product in record.products
        if not product.is_intact
    ]
    return [*changed, *edited] or ["none found: no version, input or reference file changed"]


def _export(record: Record, folder: Path) -> None:
    """Write the record, a parameter file, and the shell line with which plain stpipe makes it."""
    instance = configured(record)
    folder.mkdir(parents=True, exist_ok=True)
    made_from, name = record.dependencies, record.path.name.removesuffix(SUFFIX)
    (folder / record.path.name).write_text(record.as_text())
    parameters = folder / f"{name}.asdf"
    instance.export_config(parameters, include_metadata=True)
    software = [f"{each}=={number}" for each, number in made_from.software.items()]
    server = f"export CRDS_SERVER_URL={shlex.quote(made_from.server)}\n" if made_from.server else ""
    data = Path(made_from.inputs[0].path)
    if association := association_of(data):  # whose members need not lie beside it
        placed = association.placed(record.path.parent, str(data))
        data = Path(data.with_suffix(".json").name)
        (folder / data).write_text(json.dumps(placed, indent=1, default=str))
    command = ["strun", parameters.name, str(data), "--disable-crds-steppars"]
    script = folder / f"{name}.sh"
    script.write_text(
        f"# {' '.join(' '.join(software).split())}\n"  # whoever wrote the record: one line
        f"{server}export CRDS_CONTEXT={shlex.quote(made_from.context)}\n{shlex.join(command)}\n"
    )
    for path in (record.path.name, parameters.name, script.name):
        print(folder / path)
