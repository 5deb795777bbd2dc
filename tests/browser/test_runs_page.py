"""From a study to the training runs that used it."""


def test_the_runs_of_a_study_are_listed(viewer, training_run, studies):
    viewer.open_list()
    row = viewer.page.locator("tbody tr", has_text=studies.volume.patient)
    row.get_by_role("link", name="Runs").click()
    table = viewer.page.locator(".isocenter-page tbody tr")
    table.first.wait_for()
    assert table.count() == 1
    cells = table.first.locator("td").all_inner_texts()
    assert cells[0] == "imaging/nightly"
    assert cells[1] == "2"
    assert cells[2].startswith(training_run["day"])
    assert cells[3:] == [
        training_run["imageSet"],
        training_run["dataset"],
        training_run["model"],
        "0a1b2c3d4e5f",
    ]


def test_a_study_that_no_run_used_says_so(viewer, training_run, studies):
    viewer.page.goto(f"{viewer.origin}/runs?StudyInstanceUIDs={studies.cine.study}")
    viewer.page.get_by_text("No training run has used this study.").wait_for()


def test_runs_take_the_same_login(visit, guarded_site, login, training_run, studies):
    viewer = visit(guarded_site)
    viewer.page.goto(f"{guarded_site}/runs?StudyInstanceUIDs={studies.volume.study}")
    viewer.page.get_by_text("imaging/nightly", exact=True).wait_for()
    (asked,) = viewer.requests("^/usage/")
    assert asked.headers["authorization"] == f"Bearer {login.access_tokens[-1]}"
