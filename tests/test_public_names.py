"""The names others build on: nobody may lose one by accident."""

import inspect
import subprocess
import sys

import pytest

import stpipe_prefect
from stpipe_prefect import Pipeline, Step

PACKAGE = [
    "Handle",
    "Pipeline",
    "PipelineFlow",
    "Step",
    "StepTask",
    "after",
    "as_flow",
    "as_prefetch",
    "as_task",
    "before",
]

STEP = {
    "__call__": "(self, *args)",
    "__init__": "(self, name=None, parent=None, config_file=None, _validate_kwds=True, **kws)",
    "_datamodels_open": "(init, **kwargs)",
    "_get_crds_parameters": "(dataset)",
    "_precache_references": "(self, input_file)",
    "build_config": "(input, **kwargs)",
    "call": "(*args, **kwargs)",
    "closeout": "(self, to_close=None, to_del=None)",
    "default_output_file": "(self, input_file=None)",
    "default_suffix": "(self)",
    "export_config": "(self, filename, include_metadata=False)",
    "finalize_result": "(self, result, reference_files_used)",
    "from_cmdline": "(args)",
    "from_config_file": "(config_file, parent=None, name=None)",
    "from_config_section": "(config, parent=None, name=None, config_file=None)",
    "get_config_from_reference": "(dataset, disable=None, crds_observatory=None)",
    "get_config_reftype": "()",
    "get_pars": "(self, full_spec=True)",
    "get_ref_override": "(self, reference_file_type)",
    "get_reference_file": "(self, input_file, reference_file_type)",
    "get_stpipe_loggers": "()",
    "load_spec_file": "(preserve_comments=True)",
    "make_input_path": "(self, file_path)",
    "merge_config": "(config, config_file)",
    "open_model": "(self, init, **kwargs)",
    "prefetch": "(self, *args)",
    "print_configs": "()",
    "print_configspec": "()",
    "process": "(self, *args)",
    "reference_uri_to_cache_path": "(reference_uri, observatory)",
    "remove_suffix": "(name)",
    "resolve_file_name": "(self, file_name)",
    "run": "(self, *args)",
    "save_model": (
        "(self, model, suffix=None, idx=None, output_file=None, force=False, format=None, "
        "**components)"
    ),
    "search_attr": "(self, attribute, default=None, parent_first=False)",
    "set_primary_input": "(self, obj, exclusive=True)",
    "update_pars": "(self, parameters)",
}
PROPERTIES = ["input_dir", "log", "log_records", "make_output_path"]
ATTRIBUTES = [
    "_log_records_formatter",
    "class_alias",
    "correction_pars",
    "name_format",
    "prefetch_references",
    "reference_file_types",
    "spec",
    "use_correction_pars",
]
PIPELINE = {
    "get_pars": STEP["get_pars"],
    "get_ref_override": STEP["get_ref_override"],
    "load_spec_file": STEP["load_spec_file"],
    "merge_config": STEP["merge_config"],
    "merge_pipeline_config": "(refcfg, ref_file)",
    "set_input_filename": "(self, path)",
}
PARAMETERS = [
    "pre_hooks",
    "post_hooks",
    "output_file",
    "output_dir",
    "output_ext",
    "output_use_model",
    "output_use_index",
    "save_results",
    "skip",
    "suffix",
    "search_output_file",
    "input_dir",
]


def test_of_the_package():
    assert stpipe_prefect.__all__ == PACKAGE
    assert all(getattr(stpipe_prefect, name) is not None for name in PACKAGE)


@pytest.mark.parametrize(("name", "signature"), STEP.items())
def test_of_a_step(name, signature):
    method = getattr(Step, name)
    assert _bare_signature(method) == signature
    assert inspect.getdoc(method) or name == "__init__"


@pytest.mark.parametrize(("name", "signature"), PIPELINE.items())
def test_of_a_pipeline(name, signature):
    method = getattr(Pipeline, name)
    assert _bare_signature(method) == signature
    assert inspect.getdoc(method)
    assert issubclass(Pipeline, Step)
    assert Pipeline.step_defs == {}


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties(name):
    assert isinstance(getattr(Step, name), property)
    assert inspect.getdoc(getattr(Step, name))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_class_attributes(name):
    assert hasattr(Step, name)


def test_parameters_every_step_has():
    spec = Step.load_spec_file()
    assert list(spec) == PARAMETERS
    assert all(spec.inline_comments[name] for name in spec)


def test_importing_the_package_is_cheap():
    code = (
        "import sys, stpipe_prefect; stpipe_prefect.Step; "
        "print([m for m in ('prefect', 'crds', 'asdf', 'numpy', 'astropy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def _bare_signature(method):
    """Leave types out: they may become more precise."""
    signature = inspect.signature(method)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))
