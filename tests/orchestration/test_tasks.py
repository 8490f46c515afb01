"""Steps as tasks in a flow of one's own."""

from inspect import signature

import pytest
from prefect import flow

from stpipe_prefect import Handle, as_prefetch, as_task
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.orchestration.request import configure

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own


@pytest.fixture
def in_flow(prefect_server, crds_path):
    """Run a function as a flow."""

    def run(function):
        return flow(function, validate_parameters=False, persist_result=False)()

    return run


def test_steps_are_chained_by_handles(in_flow, small):
    def calibrate():
        data = as_task("jwst::dq_init")(str(small.program.exposures[0]))
        data = as_task("jwst.saturation.SaturationStep")(data)
        model = data.take()
        return model.meta.cal_step.dq_init, model.meta.cal_step.saturation

    assert in_flow(calibrate) == ("COMPLETE", "COMPLETE")


def test_parameters_are_given_by_name(in_flow, small):
    def calibrate():
        data = as_task("jwst::dq_init")(str(small.program.exposures[0]))
        data = as_task("jwst::saturation")(data)
        data = as_task("jwst::jump")(data, rejection_threshold=9.0)
        return data.take().meta.cal_step.jump

    assert in_flow(calibrate) == "COMPLETE"


def test_wrong_parameter_is_refused(in_flow, small):
    def calibrate():
        as_task("jwst::jump")(str(small.program.exposures[0]), rejection_threshold="high")

    with pytest.raises(ParameterError, match="jump: rejection_threshold = 'high'"):
        in_flow(calibrate)


def test_prefetch_names_the_files_of_the_step(in_flow, small, crds_path):
    def prefetch():
        return as_prefetch("jwst::jump").submit(str(small.program.exposures[0])).result()

    files = in_flow(prefetch)
    assert set(files) == {"gain", "readnoise"}
    assert files["gain"].startswith(str(crds_path))


def test_task_of_an_instance_runs_it_as_it_is(in_flow, small):
    from jwst.dq_init import DQInitStep

    step = DQInitStep(name="my_dq_init")

    def calibrate():
        task = as_task(step)
        return task.name, task(Handle(str(small.program.exposures[0]))).take()

    name, model = in_flow(calibrate)
    assert name == "my_dq_init"
    assert model.meta.cal_step.dq_init == "COMPLETE"


def test_tasks_share_neither_names_nor_tags_nor_hooks():
    clip, flat = as_task("lantern.steps.ClipStep"), as_task("lantern.steps.FlatStep")
    clip.on_completion(lambda *args: None)
    clip.tags.add("mine")
    again = as_task("lantern.steps.ClipStep")
    assert (clip.name, flat.name, again.name) == ("clip", "flat", "clip")
    assert (clip.task_run_name, flat.task_run_name) == ("clip", "flat")
    assert "step_class" not in signature(clip).parameters
    assert not (again.on_completion_hooks or again.tags or flat.on_completion_hooks or flat.tags)


@pytest.mark.parametrize("name", ["pars#1.asdf", "pars%41.cfg"])
def test_parameter_file_that_upstream_could_not_open(tmp_path, name):
    from jwst.jump import JumpStep

    path = tmp_path / name
    path.touch()
    with pytest.raises(ParameterError) as caught:
        configure(JumpStep, None, str(path), {})
    assert str(caught.value).startswith(f"{path}: asdf reads its path as a URI")
