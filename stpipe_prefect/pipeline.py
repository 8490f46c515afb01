"""Pipeline: Steps combined."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from configobj import ConfigObj, Section

from .datamodel import file_name, is_model
from .exceptions import ParameterError, WrongStepError
from .parameters.files import load_config_file
from .parameters.layers import merge, new_config
from .parameters.spec import merged_spec
from .references.lookup import checked_file, reference_files
from .step import Step
from .step.identity import LOGGER_NAME

logger = logging.getLogger(f"{LOGGER_NAME}.pipeline")

_NAMES_OF_STEP = {
    "config_file": "string(default=None)",
    "name": "string(default='')",
    "class": "string(default='')",
}
"""What may stand among the parameters of a pipeline's step beside its parameters."""


class Pipeline(Step):
    """Steps combined; itself a Step, so that a pipeline can be part of another.

    A mission derives its own class with ``step_defs`` and a ``process`` that runs the steps,
    each an attribute of that name: ``data = self.flat_field.run(data)``.

    Parameters
    ----------
    *args, **kwargs
        As for `Step`; the parameters of the steps by step under ``steps``.

    Attributes
    ----------
    step_defs : dict of str to type
        The Step classes by the name each has in the pipeline.
    """

    spec = ""
    step_defs: ClassVar[dict[str, type[Step]]] = {}

    steps: Mapping[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, step_class in self.step_defs.items():
            step = step_class.from_config_section(
                self.steps.get(name, {}), parent=self, name=name, config_file=self.config_file
            )
            setattr(self, name, step)

    @property
    def reference_file_types(self) -> list[str]:
        """The types that the steps ask for, without those that are skipped or do not prefetch."""
        return [kind for step in self._prefetching() for kind in step.reference_file_types]

    def get_ref_override(self, reference_file_type: str) -> Any:
        """Find what was given to any of the steps instead of a reference file.

        Returns
        -------
        str, data model or None
            As for `Step.get_ref_override`; of several, that of the first step.
        """
        overrides = (step.get_ref_override(reference_file_type) for step in self._prefetching())
        return next((override for override in overrides if override is not None), None)

    def _precache_references(self, input_file: Any) -> None:
        """Fetch the reference files of all steps before the work starts.

        Data that CRDS knows nothing about are left to the steps.

        Parameters
        ----------
        input_file : str, data model or library
            The data.

        Raises
        ------
        ReferenceFileError
            One is not selected, missing or cannot be read.
        """
        types = set(self.reference_file_types)
        try:
            crds_parameters, observatory = self._get_crds_parameters(input_file)
        except (ValueError, TypeError, OSError):
            logger.info("No references can be fetched in advance for %s", input_file)
            return
        overrides = {kind: self.get_ref_override(kind) for kind in types}
        wanted = sorted(kind for kind in types if overrides[kind] is None)
        logger.info(
            "Prefetching reference files for dataset: %r reftypes = %r",
            file_name(input_file),
            wanted,
        )
        fetched: dict[str, Any] = reference_files(crds_parameters, wanted, observatory)
        given = {kind: value for kind, value in overrides.items() if value is not None}
        for how, files in (("Prefetch", fetched), ("Override", given)):
            for kind, path in sorted(files.items()):
                logger.info("%s for %s reference file is '%s'.", how, kind.upper(), path)
        for path in given.values():
            if not is_model(path) and not path.startswith("crds://"):
                checked_file(path)

    def get_pars(self, full_spec: bool = True) -> dict[str, Any]:
        """Give the parameters as they are set, those of the steps by step under ``steps``."""
        pars = super().get_pars(full_spec=full_spec)
        pars["steps"] = {
            name: getattr(self, name).get_pars(full_spec=full_spec) for name in self.step_defs
        }
        return pars

    def set_input_filename(self, path: str) -> None:
        """Say what the products of the pipeline and all its steps are to be named after."""
        self._input_filename = path
        for name in self.step_defs:
            step = getattr(self, name)
            if isinstance(step, Pipeline):
                step.set_input_filename(path)
            else:
                step._input_filename = path

    @classmethod
    def load_spec_file(cls, preserve_comments: bool = True) -> ConfigObj:
        """Read the declarations of all parameters, those of the steps by step under ``steps``.

        A pipeline may declare parameters of its steps again, in a section ``[steps]`` of its
        ``spec``.
        """
        spec = merged_spec(cls)
        own = spec.pop("steps", {})
        spec["steps"] = {}
        for name, step_class in cls.step_defs.items():
            if not (isinstance(step_class, type) and issubclass(step_class, Step)):
                raise WrongStepError(f"{cls.__name__}: {name!r} in step_defs is not a Step class")
            spec["steps"][name] = {}
            merge(spec["steps"][name], step_class.load_spec_file())
            merge(spec["steps"][name], _NAMES_OF_STEP)
        merge(spec["steps"], own)
        return spec

    @classmethod
    def merge_config(cls, config: ConfigObj, config_file: str | None) -> ConfigObj:
        """Merge the parameter files named for single steps, under what is given here.

        Parameters
        ----------
        config : configobj.ConfigObj
            Parameters; changed in place.
        config_file : str or None
            The parameter file they come from; relative names of others start beside it.

        Raises
        ------
        ParameterError
            A file is no good, or is for another step.
        """
        sections = config.get("steps")
        folder = Path(config_file).parent if config_file else Path()
        for name, step_class in cls.step_defs.items():
            given = sections.get(name) if isinstance(sections, Mapping) else None
            if not isinstance(given, Section):
                continue
            step_class.merge_config(given, config_file)
            named = given.pop("config_file", None)
            if named:
                file = str(folder / named)
                merged = load_config_file(file)
                _check_is_for(merged, name, step_class, file)
                merged = step_class.merge_config(merged, file)
                merge(merged, given)
                sections[name] = {}
                merge(sections[name], merged)
        return config

    @classmethod
    def merge_pipeline_config(cls, refcfg: ConfigObj, ref_file: str) -> ConfigObj:
        """Merge the pipeline's parameter file from CRDS over those of its steps.

        Parameters
        ----------
        refcfg : configobj.ConfigObj
            The parameters of the steps; changed in place.
        ref_file : str
            The pipeline's parameter file.
        """
        merge(refcfg, load_config_file(ref_file))
        return refcfg

    @classmethod
    def _get_config_from_parameters(
        cls, crds_parameters: Mapping[str, Any], observatory: str
    ) -> ConfigObj:
        config = cls._no_config()
        for name, step_class in cls.step_defs.items():
            config["steps"][name] = {}
            merge(
                config["steps"][name],
                step_class._get_config_from_parameters(crds_parameters, observatory),
            )
        merge(config, super()._get_config_from_parameters(crds_parameters, observatory))
        return config

    @classmethod
    def _no_config(cls) -> ConfigObj:
        return new_config({"steps": {}})

    def _prefetching(self) -> list[Step]:
        steps: list[Step] = [getattr(self, name) for name in self.step_defs]
        return [step for step in steps if step.prefetch_references and not step.skip]


def _check_is_for(config: Mapping[str, Any], name: str, step_class: type, file: str) -> None:
    """Refuse a parameter file for another step, which neither its name nor its class fits.

    A step exported by itself has the name of its class, whatever a pipeline calls it.
    """
    named, path = config.get("name", name), str(config.get("class") or "")
    if named != name and path.rpartition(".")[2] not in _class_names(step_class):
        raise ParameterError(f"{file} is for a step {named!r}, but given for {name!r}")


def _class_names(step_class: type) -> list[str]:
    return [each.__name__ for each in step_class.mro() if hasattr(each, "get_config_reftype")]
