"""Parameter files: ASDF, exchangeable with stpipe, and the older ``.cfg``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from configobj import ConfigObj

from ..exceptions import NoParameterFileError, OutputError, ParameterError, reason
from .layers import new_config
from .validation import check_parameters

_ASDF_MAGIC = b"#ASDF"
_TO_FILL_IN = "<SPECIFY>"
_CRDS_META = (
    "author",
    "description",
    "instrument",
    "origin",
    "pedigree",
    "reftype",
    "telescope",
    "useafter",
)


@dataclass(frozen=True)
class StepParameters:
    """What a parameter file holds.

    Attributes
    ----------
    class_name : str or None
        Dotted path or alias of the Step class.
    name : str or None
        Of the step; within a pipeline, the one it goes by there.
    parameters : dict
        Values by name.
    steps : tuple of StepParameters
        The same for each step of a pipeline.
    """

    class_name: str | None
    name: str | None
    parameters: dict[str, Any]
    steps: tuple[StepParameters, ...] = field(default=())

    def config(self) -> ConfigObj:
        """Lay it out as a tree of parameters, with ``class``, ``name`` and ``steps``."""
        config = new_config(self.parameters)
        if self.class_name is not None:
            config["class"] = self.class_name
        if self.name is not None:
            config["name"] = self.name
        if self.steps:
            config["steps"] = {}
            for step in self.steps:
                config["steps"][step.name] = step.config()
        return config

    def tree(self) -> dict[str, Any]:
        """Lay it out as ASDF files have it."""
        tree: dict[str, Any] = {
            "class": self.class_name,
            "name": self.name,
            "parameters": self.parameters,
        }
        if self.steps:
            tree["steps"] = [step.tree() for step in self.steps]
        return tree


def load_config_file(path: str | Path) -> ConfigObj:
    """Read a parameter file.

    An ASDF file of the schema step_config-1.0.0 or 1.1.0 (or the older 0.1.0), else a ``.cfg``
    file. The values are not yet checked; ``class`` and ``name`` are among them, and those of a
    pipeline's steps are under ``steps``.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            is_asdf = file.suffix == ".asdf" or stream.read(len(_ASDF_MAGIC)) == _ASDF_MAGIC
        return _load_asdf(file) if is_asdf else _load_cfg(file)
    except FileNotFoundError:
        raise NoParameterFileError(f"{path}: no such parameter file") from None
    except Exception as error:  # whatever asdf, yaml or configobj make of a damaged file
        raise ParameterError(f"{path}: not a readable parameter file: {reason(error)}") from error


@dataclass(frozen=True)
class ParameterFile:
    """What a parameter file tells, apart from whom.

    Attributes
    ----------
    class_path : str or None
        Dotted path of the Step or Pipeline it is for, if it says so.
    parameters : dict
        Values by name; those of a pipeline's steps under ``"steps"``, by step.
    """

    class_path: str | None
    parameters: dict[str, Any]


def read_parameter_file(path: Path) -> ParameterFile:
    """Read a parameter file as `load_config_file` does, and take it apart."""
    config = load_config_file(path).dict()
    return ParameterFile(config.get("class"), without_names(config))


def check_with_files(step_class: Any, given: Mapping[str, Any], config_file: str | None) -> None:
    """Refuse parameters a Step or Pipeline does not take, given or in files, before it is made.

    Files that `given` or other files name for steps are read, too. Every problem is one line of the
    error.
    """
    problems = list(_problems(step_class, given))
    if config_file is not None:
        problems += _problems_of_file(step_class, Path(config_file))
    if problems:
        raise ParameterError("\n".join(problems))


def _problems(step_class: Any, given: Mapping[str, Any], file: Path | None = None) -> Iterator[str]:
    """Check what a caller gives or a file has, and the files that it names for steps."""
    try:
        check_parameters(step_class, given if file is None else without_names(given))
    except ParameterError as error:
        yield from (f"{file}: {line}" if file else line for line in str(error).splitlines())
    for _, each, named in files_named(step_class, given, file.parent if file else Path()):
        yield from _problems_of_file(each, named)


def _problems_of_file(step_class: Any, file: Path) -> Iterator[str]:
    try:
        config = load_config_file(file).dict()
    except ParameterError as error:
        yield str(error)
        return
    if config.get("config_file"):
        yield f"{file}: config_file: only a step can have one, as steps.<step>.config_file"
    yield from _problems(step_class, config, file)


def files_named(
    step_class: Any, given: Mapping[str, Any], folder: Path, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Path]]:
    """Find the parameter files named for the steps of a pipeline: path and class of each, file."""
    sections = given.get("steps")
    for name, each in getattr(step_class, "step_defs", {}).items():
        section = sections.get(name) if isinstance(sections, Mapping) else None
        if isinstance(section, Mapping):
            if section.get("config_file"):
                yield (*path, name), each, folder / section["config_file"]
            yield from files_named(each, section, folder, (*path, name))


def save_config_file(content: StepParameters, path: str | Path, *, for_crds: bool) -> None:
    """Write an ASDF parameter file.

    With `for_crds`, add the metadata CRDS asks of its reference files, with ``<SPECIFY>`` where
    somebody has to fill in a value.
    """
    import asdf

    tree = content.tree()
    if for_crds:
        tree["meta"] = _crds_meta(content.class_name)
    try:
        with Path(path).open("wb") as stream:  # asdf takes a path for a URI
            asdf.AsdfFile(tree).write_to(stream)
    except OSError as error:
        raise OutputError(f"Parameter file {path} cannot be written: {reason(error)}") from error
    except Exception as error:
        raise ParameterError(
            f"The parameters of {content.name} cannot be stored in a file: {reason(error)}"
        ) from error


def _crds_meta(class_name: str | None) -> dict[str, Any]:
    meta: dict[str, Any] = dict.fromkeys(_CRDS_META, _TO_FILL_IN)
    meta["date"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    meta["description"] = f"Parameters for calibration step {class_name}"
    meta["instrument"] = {"name": _TO_FILL_IN}
    return meta


def _load_asdf(file: Path) -> ConfigObj:
    import asdf

    # asdf takes a path for a URI, in which # ? and % have a meaning.
    with file.open("rb") as stream, asdf.open(stream, lazy_load=False, memmap=False) as opened:
        tree = _plain(opened.tree)
    if "class" not in tree and "class" in tree.get("parameters", {}):
        return _from_flat(tree["parameters"]).config()
    # Further keys are none of our business: CRDS files have their metadata there.
    return _from_tree(tree).config()


def _load_cfg(file: Path) -> ConfigObj:
    # Read into one of ours, so that later nothing is interpolated a second time.
    return new_config(ConfigObj(str(file), raise_errors=True, encoding="utf-8"))


def _from_tree(tree: Any) -> StepParameters:
    """Read the layout of step_config-1.0.0 and 1.1.0, the same for a pipeline and its steps."""
    for key, kind in (("class", str), ("parameters", dict)):
        if not isinstance(tree, dict) or not isinstance(tree.get(key), kind):
            raise ValueError(f"expected {key!r}, a {kind.__name__}")
    steps = tuple(_from_tree(step) for step in tree.get("steps") or ())
    if not all(step.name for step in steps):
        raise ValueError("a step in it has no name")
    return StepParameters(tree["class"], tree.get("name"), tree["parameters"], steps)


def _from_flat(values: dict[str, Any], name: str | None = None) -> StepParameters:
    """Read the layout of step_config-0.1.0, where everything stands among the parameters."""
    own = {key: value for key, value in values.items() if key not in ("class", "name", "steps")}
    steps = tuple(_from_flat(step, name) for name, step in values.get("steps", {}).items())
    return StepParameters(values.get("class"), name or values.get("name"), own, steps)


def without_names(section: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what names a step rather than tells it something, in every section."""
    return {
        name: without_names(value) if isinstance(value, Mapping) else value
        for name, value in section.items()
        if name not in ("class", "name", "config_file")
    }


def _plain(node: Any) -> Any:
    """Turn what asdf reads into plain dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node
