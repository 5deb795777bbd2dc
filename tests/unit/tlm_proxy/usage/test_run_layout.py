import pytest

from isocenter.tlm_proxy.usage.run_layout import Execution, executions

RUN = "imaging/a-run/attempt-2/0abc"
EXECUTION = Execution("imaging", "a-run", 2, "0abc")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([f"{RUN}/dataset/"], {EXECUTION: None}),
        ([f"{RUN}/dataset/manifest.json"], {EXECUTION: None}),
        (
            [f"{RUN}/model/job/output/model.tar.gz", f"{RUN}/dataset/"],
            {EXECUTION: f"{RUN}/model/job/output/model.tar.gz"},
        ),
        # a model without a dataset: some other pipeline's
        ([f"{RUN}/model/job/output/model.tar.gz"], {}),
        (
            [f"{RUN}/model/job/output/output.tar.gz", f"{RUN}/dataset/"],
            {EXECUTION: None},
        ),
        (["imaging/a-run/attempt-2/request.json"], {}),
        (["manual/0abc/dataset/"], {}),
        (["imaging/a-run/attempt-0/0abc/dataset/"], {}),
        (["imaging/a-run/attempt-x/0abc/dataset/"], {}),
        (["imaging/a-run/attempt-1/dataset/"], {}),
        ([""], {}),
    ],
)
def test_executions_by_their_objects(names, found):
    assert executions(names) == found


def test_folder_is_where_it_came_from():
    (found,) = executions([f"{RUN}/dataset/"])
    assert found.folder == RUN
