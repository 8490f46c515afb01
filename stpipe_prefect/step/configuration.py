"""The parameters of a step, from code, CRDS, files and the caller."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from configobj import ConfigObj

from ..association import exemplar
from ..datamodel import is_library, is_model, is_sequence
from ..exceptions import ParameterError, ReferenceFileError, WrongStepError, input_error, reason
from ..hooks import hook_text
from ..parameters.files import StepParameters, load_config_file, save_config_file
from ..parameters.layers import DISABLE_VARIABLE, crds_parameters_disabled, merge, new_config
from ..parameters.spec import add_override, merged_spec, own_spec
from ..parameters.validation import converted, validate
from ..references.lookup import reference_files
from ..references.reference import NOT_APPLICABLE
from ..registry import find_step
from .crds import Calibrated
from .identity import LOGGER_NAME

logger = logging.getLogger(f"{LOGGER_NAME}.step")

_NOT_PARAMETERS = ("name", "class", "config_file")


class Configured(Calibrated):
    """A step that has parameters; each is an attribute of the instance.

    Attributes
    ----------
    spec : str
        Declares them, as a configspec; a class inherits those of its bases.
    """

    spec: Any = ""

    def __init__(
        self,
        name: str | None = None,
        parent: Any = None,
        config_file: str | Path | None = None,
        _validate_kwds: bool = True,
        **kws: Any,
    ) -> None:
        self.name = name or type(self).__name__
        self.parent = parent
        self.qualified_name = f"{parent.qualified_name if parent else LOGGER_NAME}.{self.name}"
        self.config_file = str(config_file) if config_file is not None else None
        parameters: Mapping[str, Any] = kws
        if _validate_kwds:
            parameters = self.merge_config(new_config(kws), self.config_file)
            validate(
                parameters, self.load_spec_file(), title=self.name, folder=_folder(config_file)
            )
        for parameter, value in parameters.items():
            setattr(self, parameter, value)

    @classmethod
    def load_spec_file(cls, preserve_comments: bool = True) -> ConfigObj:
        """Read the declarations of all parameters, those of base classes and overrides included.

        Parameters
        ----------
        preserve_comments : bool
            Without effect: the comments, which are the help texts, are always kept.

        Raises
        ------
        ParameterError
            A ``spec`` is not a configspec.
        """
        spec = merged_spec(cls)
        for reference_type in cls.reference_file_types:
            add_override(spec, reference_type)
        return spec

    @classmethod
    def print_configspec(cls) -> None:
        """Print the declarations of all parameters."""
        cls.load_spec_file().write(sys.stdout.buffer)
        sys.stdout.buffer.flush()

    print_configs = print_configspec

    @classmethod
    def get_config_reftype(cls) -> str:
        """Name the CRDS reference type of the step's own parameter file: ``pars-<class>``."""
        return f"pars-{cls.__name__.lower()}"

    @classmethod
    def merge_config(cls, config: ConfigObj, config_file: str | None) -> ConfigObj:
        """Merge the parameter files of single steps; a pipeline has some, a step has none.

        Parameters
        ----------
        config : configobj.ConfigObj
            Parameters as given.
        config_file : str or None
            The parameter file they come from; relative names of others start beside it.
        """
        return config

    @classmethod
    def from_config_file(
        cls, config_file: str | Path, parent: Any = None, name: str | None = None
    ) -> Self:
        """Make a step from a parameter file.

        Parameters
        ----------
        config_file : str or pathlib.Path
            ASDF or ``.cfg``. A ``class`` in it has to be this one or a subclass.
        parent : Pipeline, optional
            What the step is to be part of.
        name : str, optional
            Of the step; else the ``name`` in the file, else the file's own.

        Raises
        ------
        ParameterError, UnknownStepError
            The file, its class or one of its values is no good.
        """
        config = load_config_file(config_file)
        step_class, name = cls._class_and_name(config, Path(config_file), name)
        return step_class.from_config_section(
            config, parent=parent, name=name, config_file=str(config_file)
        )

    @staticmethod
    def from_cmdline(args: list[str]) -> Any:
        """Make a step as the command line does, and run it.

        Parameters
        ----------
        args : list of str
            What follows ``python -m stpipe_prefect run``.

        Returns
        -------
        Step
            The step that ran.
        """
        from ..cli.run import run_step

        return run_step(args)

    @classmethod
    def from_config_section(
        cls,
        config: Mapping[str, Any],
        parent: Any = None,
        name: str | None = None,
        config_file: str | Path | None = None,
    ) -> Self:
        """Make a step from parameters.

        Parameters
        ----------
        config : configobj.Section
            Its parameters; left as they are.
        parent : Pipeline, optional
            What the step is to be part of.
        name : str, optional
            Of the step; else the ``name`` among the parameters, else that of the class.
        config_file : str or pathlib.Path, optional
            Where the parameters come from; relative paths among them start beside it.

        Raises
        ------
        ParameterError
            Names everything that is wrong, one line for each problem.
        """
        name = str(name or config.get("name") or cls.__name__)
        own = new_config(
            {key: value for key, value in config.items() if key not in _NOT_PARAMETERS}
        )
        merged = cls.merge_config(own, str(config_file) if config_file is not None else None)
        validate(merged, cls.load_spec_file(), title=name, folder=_folder(config_file))
        return cls(
            name=name, parent=parent, config_file=config_file, _validate_kwds=False, **merged
        )

    @classmethod
    def build_config(cls, input: Any, **kwargs: Any) -> tuple[ConfigObj, str | None]:
        """Merge the parameters for some data, from CRDS to what the caller says.

        Each layer goes over the one before: the step's parameter file in CRDS, or for a
        pipeline those of its steps and then its own; a step's ``config_file``; the user's
        parameter file; keywords. Below all is what the code declares.

        Parameters
        ----------
        input : str, data model or None
            What CRDS is to find parameter files for; none are looked for without it.
        **kwargs
            Parameters, those of a pipeline's steps under ``steps``; ``config_file`` names
            the user's parameter file.

        Returns
        -------
        configobj.ConfigObj, str or None
            The parameters, not yet checked, and the parameter file.

        Raises
        ------
        InputError
            The data cannot be read.
        ParameterError
            A parameter file is no good.
        ReferenceFileError
            A parameter file that CRDS selects is missing, or no good.
        """
        config_file = kwargs.pop("config_file", None)
        config_file = None if config_file is None else str(config_file)
        given = new_config() if config_file is None else load_config_file(config_file)
        merge(given, kwargs)
        if input is None or (isinstance(input, str) and not input):
            logger.debug("No input given: no parameters from CRDS")
            config = cls._no_config()
        else:
            config = cls._no_config() if crds_parameters_disabled() else cls._config_for(input)
        merge(config, cls.merge_config(given, config_file))
        return config, config_file

    @classmethod
    def get_config_from_reference(
        cls, dataset: Any, disable: bool | str | None = None, crds_observatory: str | None = None
    ) -> ConfigObj:
        """Get the parameter file that CRDS has for some data.

        Parameters
        ----------
        dataset : str, data model or dict
            The data, or what CRDS matches on.
        disable : bool or str, optional
            Whether to do without; if None, ``STPIPE_DISABLE_CRDS_STEPPARS`` says.
        crds_observatory : str, optional
            ``"jwst"`` or ``"roman"``, for `dataset` a dict.

        Returns
        -------
        configobj.ConfigObj
            Empty where CRDS has none, or where `dataset` is nothing that CRDS knows about.

        Raises
        ------
        InputError
            The data cannot be read.
        ReferenceFileError
            The file is missing, or no good.
        """
        if disable is not False and crds_parameters_disabled(disable):
            logger.debug("Parameters from CRDS are switched off")
            return cls._no_config()
        if not isinstance(dataset, dict):
            return cls._config_for(dataset)
        if crds_observatory is None:
            raise ValueError("crds_observatory is needed with a dict")
        return cls._get_config_from_parameters(dataset, crds_observatory)

    def get_pars(self, full_spec: bool = True) -> dict[str, Any]:
        """Give the parameters as they are set.

        Parameters
        ----------
        full_spec : bool
            All of them; if False, only those the class itself declares.

        Raises
        ------
        ParameterError
            One was set to a value that its declaration does not allow.
        """
        spec = merged_spec(type(self)) if full_spec else own_spec(type(self)) or new_config()
        # What a pipeline declares in [steps] are parameters of its steps: they give them.
        names = [name for name in spec if name != "steps" and hasattr(self, name)]
        values = {name: getattr(self, name) for name in names}
        return converted(values, spec, title=self.name)

    def update_pars(self, parameters: Mapping[str, Any]) -> None:
        """Set parameters; those the step does not have are left out.

        Parameters
        ----------
        parameters : mapping
            As `get_pars` gives them; those of a pipeline's steps under ``steps``.
        """
        known = self.get_pars()
        for name, value in parameters.items():
            if name not in known:
                logger.debug("%s has no parameter %s", self.name, name)
            elif name == "steps":
                for step, step_parameters in value.items():
                    getattr(self, step).update_pars(step_parameters)
            else:
                setattr(self, name, value)

    def export_config(self, filename: str | Path, include_metadata: bool = False) -> None:
        """Write the parameters to an ASDF parameter file.

        Parameters
        ----------
        filename : str or pathlib.Path
            Where to; overwritten.
        include_metadata : bool
            Add what CRDS asks of a reference file, with ``<SPECIFY>`` where you have to fill
            in a value.

        Raises
        ------
        ParameterError
            A value is of a kind that a file cannot hold.
        OutputError
            The file cannot be written.
        """
        save_config_file(_content(self), filename, for_crds=include_metadata)

    def resolve_file_name(self, file_name: str) -> str:
        """Take a file name relative to the parameter file the step was configured from."""
        return str(Path(_folder(self.config_file), file_name))

    @classmethod
    def _class_and_name(
        cls, config: Mapping[str, Any], config_file: Path, name: str | None
    ) -> tuple[type[Self], str]:
        step_class = cls
        if config.get("class"):
            step_class = find_step(config["class"], config_file.parent)
            if not issubclass(step_class, cls):
                raise WrongStepError(
                    f"{config_file} is for {config['class']}, which is not a {cls.__name__}"
                )
        return step_class, name or config.get("name") or config_file.stem

    @classmethod
    def _config_for(cls, data: Any) -> ConfigObj:
        """Read the parameter file that CRDS has for some data, which may be a dict, too."""
        try:
            data = exemplar(data)
            crds_parameters, observatory = cls._get_crds_parameters(data)
        except Exception as error:
            if isinstance(error, (TypeError, ValueError)) and not _is_file(data):
                logger.warning("The input is not a data model: no parameters from CRDS")
                return cls._no_config()
            raise input_error(
                f"{_label(data)} cannot be read as an exposure: {reason(error)}; "
                f"to continue without parameters from CRDS, set {DISABLE_VARIABLE}=true",
                error,
            ) from error
        return cls._get_config_from_parameters(crds_parameters, observatory)

    @classmethod
    def _no_config(cls) -> ConfigObj:
        """Give what CRDS has to say where nothing is asked of it."""
        return new_config()

    @classmethod
    def _get_config_from_parameters(cls, crds: Mapping[str, Any], observatory: str) -> ConfigObj:
        """Read the file that CRDS selects, if any; upstream's pipelines call it by this name."""
        kind = cls.get_config_reftype()
        files = reference_files(crds, [kind], observatory, required=False)
        if files[kind] == NOT_APPLICABLE:
            logger.debug("%s: No parameters found", kind.upper())
            return new_config()
        logger.info("%s parameters found: %s", kind.upper(), files[kind])
        try:
            return load_config_file(files[kind])
        except ParameterError as error:
            raise ReferenceFileError(f"{kind} reference: {error}") from error


def _content(step: Any) -> StepParameters:
    """Collect what a parameter file is to hold of a step, and of its own steps."""
    parameters = step.get_pars()
    parameters.pop("steps", None)
    for kind in ("pre_hooks", "post_hooks"):
        parameters[kind] = [hook_text(hook) for hook in parameters[kind] or []]
    steps = tuple(_content(getattr(step, name)) for name in getattr(step, "step_defs", ()))
    class_name = f"{type(step).__module__}.{type(step).__name__}"
    return StepParameters(class_name, step.name, parameters, steps)


def _folder(config_file: str | Path | None) -> str:
    return str(Path(config_file).parent) if config_file else ""


def _is_file(dataset: Any) -> bool:
    return isinstance(dataset, (str, Path)) and Path(dataset).is_file()


def _label(dataset: Any) -> str:
    known = is_model(dataset) or is_library(dataset) or is_sequence(dataset)
    return type(dataset).__name__ if known else str(dataset)
