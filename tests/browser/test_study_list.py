"""The study list."""


def narrowed(viewer, *patients):
    viewer.until(
        lambda: sorted(viewer.patients()) == sorted(patients) or None,
        f"a list of {patients}",
    )


def test_studies_of_the_data_store_are_listed(viewer):
    viewer.open_list()
    narrowed(viewer, "Juno", "Mira", "Uma")
    assert viewer.requests(r"^/dicomweb/eu-west-1/[0-9a-z]{32}/studies\?")


def test_the_patient_filter_narrows_the_list(viewer):
    viewer.open_list()
    narrowed(viewer, "Juno", "Mira", "Uma")
    viewer.filter_patient("mir")
    narrowed(viewer, "Mira")
    viewer.filter_patient("nobody")
    viewer.page.locator("tbody tr", has_text="Mira").wait_for(state="detached")
    viewer.filter_patient("")
    narrowed(viewer, "Juno", "Mira", "Uma")


def test_the_panel_of_a_patient_shows_no_other_patient(viewer, studies):
    viewer.open_study(studies.volume.study)
    viewer.until(lambda: viewer.requests("00100020=ID-Juno") or None, "prior studies")
    text = viewer.page.locator("#root").inner_text()
    assert "CT of Juno" in text
    assert "Mira" not in text
    assert "Uma" not in text


def test_thumbnails_are_pictures_not_frames(viewer, studies):
    viewer.open_study(studies.large.study)
    thumbnail = viewer.page.locator("[data-cy=study-browser-thumbnail] img")
    thumbnail.first.wait_for()
    width = thumbnail.first.evaluate("(img) => img.naturalWidth")
    assert 0 < width <= 256
    assert viewer.requests(r"/thumbnail\?")
