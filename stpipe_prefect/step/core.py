"""How a step runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ..datamodel import is_library, is_model, is_sequence, models_in
from ..hooks import make_hooks
from ..logs import logged_run
from ..products.names import expanded
from .identity import LOGGER_NAME
from .saving import Producing

logger = logging.getLogger(f"{LOGGER_NAME}.step")

_KEPT = (
    "output_dir",
    "output_ext",
    "output_file",
    "output_use_index",
    "output_use_model",
    "save_results",
    "suffix",
)
"""What a run may set for itself, but not for the next run of the same instance."""


class Step(Producing):
    """One algorithm: its parameters, its reference files, the data it works on.

    A mission derives its own class with a ``process`` method, declares the parameters in
    ``spec`` and the types of reference files in ``reference_file_types``.

    Parameters
    ----------
    name : str, optional
        Name of the step in logs and in product names; by default that of the class.
    parent : Pipeline, optional
        Pipeline that the step is part of.
    config_file : str or pathlib.Path, optional
        Parameter file; relative paths in it start at its folder.
    _validate_kwds : bool
        Whether the parameters still have to be checked.
    **kws
        Parameters.

    Attributes
    ----------
    correction_pars, use_correction_pars
        What a step learned from its data, for it or another to apply again; the form is the
        step's own affair.

    Raises
    ------
    ParameterError
        Names every parameter that is wrong, one line for each.

    Examples
    --------
    >>> class SubtractStep(Step):
    ...     class_alias = "subtract"
    ...     spec = "level = float(default=1.0)  # what to subtract"
    ...     def process(self, data):
    ...         return data - self.level
    >>> SubtractStep(output_ext=".fits", level="2.5").run(10.0)
    7.5
    """

    spec = """
    pre_hooks          = list(default=list())        # Steps, functions or commands to run before
    post_hooks         = list(default=list())        # Steps, functions or commands to run after
    output_file        = output_file(default=None)   # File to name the product after
    output_dir         = string(default=None)        # Folder for products; made if absent
    output_ext         = string()                    # File type of products
    output_use_model   = boolean(default=False)      # Name products as their meta.filename says
    output_use_index   = boolean(default=True)       # Append an index
    save_results       = boolean(default=False)      # Save the results
    skip               = boolean(default=False)      # Leave the data alone
    suffix             = string(default=None)        # What to append to the names of products
    search_output_file = boolean(default=True)       # Use the output_file of the pipeline above
    input_dir          = string(default=None)        # Folder of the input
    """

    correction_pars: ClassVar[Any] = None
    use_correction_pars: ClassVar[bool] = False

    pre_hooks: list[Any]
    post_hooks: list[Any]
    skip: bool

    def __init__(
        self,
        name: str | None = None,
        parent: Any = None,
        config_file: str | Path | None = None,
        _validate_kwds: bool = True,
        **kws: Any,
    ) -> None:
        super().__init__(name, parent, config_file, _validate_kwds, **kws)
        self._reference_files_used = []
        self._log_records: list[str] = []
        self._named_by_run: list[str] = []
        self._pre_hooks = make_hooks(self, "pre_hooks", self.pre_hooks or [])
        self._post_hooks = make_hooks(self, "post_hooks", self.post_hooks or [])
        logger.info("%s instance created.", type(self).__name__)

    @classmethod
    def call(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a step with the parameters for these data, and run it.

        Parameters
        ----------
        *args
            Arguments of ``process``; CRDS selects parameters for the first.
        **kwargs
            Parameters, and ``config_file``, see `build_config`. With ``configure_log=False``
            the log is not shown.

        Returns
        -------
        object
            What `run` returns.
        """
        shown: dict[str, Any] = {}
        if kwargs.pop("configure_log", True):
            shown = {"level": logging.INFO, "handlers": [logging.StreamHandler()]}
        with logged_run(cls.get_stpipe_loggers(), cls._log_records_formatter, **shown):
            config, config_file = cls.build_config(args[0] if args else None, **kwargs)
            step = cls.from_config_section(config, config_file=config_file)
            return step.run(*args)

    def run(self, *args: Any) -> Any:
        """Do all that belongs to running a step, ``process`` at the core of it.

        Hooks, prefetch of reference files, recording in the result, saving. What the run
        sets of ``suffix``, ``save_results`` and ``output_*`` is undone afterwards, but for a
        ``suffix`` that nobody gave: it is the `default_suffix` from the first run on, as code
        that saves the result by itself expects.

        Parameters
        ----------
        *args
            What ``process`` takes.

        Returns
        -------
        object
            What ``process`` returns; the first argument if the step is skipped.
        """
        if self.suffix is None:
            self.suffix = self.default_suffix()
        with (
            logged_run(self.get_stpipe_loggers(), self._log_records_formatter) as records,
            self._settings_kept(),
        ):
            self._log_records = records
            self._announce(args)
            self._prepare(args)
            for hook in self._pre_hooks:
                replaced = hook(*args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
            result = self._skip(*args) if self.skip else self._process(*args)
            for hook in self._post_hooks:
                replaced = hook(result)
                result = result if replaced is None else replaced
            self._finalize(result)
            if self.save_results and not self.skip:
                self._save(result)
            if not self.skip:
                logger.info("Step %s done", self.name)
        return result

    def __call__(self, *args: Any) -> Any:
        """Run the step, as `run` does."""
        return self.run(*args)

    def process(self, *args: Any) -> Any:
        """Do the work; for every step to override.

        Parameters
        ----------
        *args
            Data models, file names or whatever the step works on.

        Returns
        -------
        object
            A data model, several in a tuple or list, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define process()")

    @property
    def log_records(self) -> list[str]:
        """The log lines of the latest run, that of the whole pipeline if it was part of one."""
        return self._log_records

    def _announce(self, args: tuple[Any, ...]) -> None:
        logger.info("Step %s running with args %s.", self.name, args)
        if self.parent is None:
            parameters = self.get_pars()  # also checks those that were set since
            logger.info("Step %s parameters are:%s", self.name, "".join(_lines(parameters)))

    def _prepare(self, args: tuple[Any, ...]) -> None:
        for attribute in self._named_by_run:
            setattr(self, attribute, None)
        unnamed = [name for name in ("_input_filename", "_input_dir") if not getattr(self, name)]
        if args:
            self.set_primary_input(args[0])
        self._named_by_run = unnamed
        if self.output_file is not None:
            self.save_results = True
        if self.output_dir:
            Path(expanded(self.output_dir)).mkdir(parents=True, exist_ok=True)
        self._reference_files_used = []
        if self.parent is None and self.skip:
            logger.info("Step run as standalone, so skip set to False")
            self.skip = False

    def _process(self, *args: Any) -> Any:
        if self.prefetch_references:
            self.prefetch(*args)
        return self.process(*args)

    def _skip(self, *args: Any) -> Any:
        logger.info("Step skipped.")
        data = args[0]
        if self.class_alias is not None and (is_model(data) or is_library(data)):
            for model in models_in(data):
                try:
                    setattr(model.meta.cal_step, self.class_alias, "SKIPPED")
                except AttributeError as error:
                    logger.info("The data cannot record that the step was skipped: %s", error)
        return data

    def _finalize(self, result: Any) -> None:
        if is_library(result):
            result.finalize_result(self, self._reference_files_used)
        else:
            for one in result if is_sequence(result) else [result]:
                self.finalize_result(one, self._reference_files_used)
        self._reference_files_used = []

    def _save(self, result: Any) -> None:
        results = result if isinstance(result, (list, tuple)) else [result]
        for index, one in enumerate(results):
            idx = index if len(results) > 1 else None
            if is_model(one) or is_library(one):
                self.save_model(one, idx=idx)
            elif hasattr(one, "save"):
                path = self.make_output_path(idx=idx)
                logger.info("Saving file %s", path)
                one.save(path, overwrite=True)

    @contextmanager
    def _settings_kept(self) -> Iterator[None]:
        settings = {name: getattr(self, name) for name in _KEPT}
        try:
            yield
        finally:
            for name, value in settings.items():
                setattr(self, name, value)


@contextmanager
def preserve_step_pars(step: Step) -> Iterator[dict[str, Any]]:
    """Restore the parameters of a step, and of its own steps, after a block.

    Yields
    ------
    dict
        The parameters, as `Step.get_pars` gives them.
    """
    parameters = step.get_pars()
    try:
        yield parameters
    finally:
        step.update_pars(parameters)


def _lines(parameters: Mapping[str, Any], indent: str = "\n  ") -> Iterable[str]:
    """Lay parameters out for the log, one a line."""
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {value!r}"
