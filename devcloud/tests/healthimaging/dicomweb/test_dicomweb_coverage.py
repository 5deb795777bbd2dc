"""COVERAGE.md has DICOMweb, with what AWS documents and what is assumed."""

from isocenter.devcloud.coverage import PAGE, assumptions


def test_the_page_has_each_operation():
    page = PAGE.read_text(encoding="utf-8")
    assert "## medical-imaging DICOMweb: 11 of 13 operations" in page
    assert "| SearchDICOMSeries | built | dicomweb-search-series | Modality, " in page
    assert "| StoreDICOM | 501 |" in page


def test_every_module_that_assumes_says_so():
    found = {text.partition("`:")[0].removeprefix("`") for text in assumptions()}
    folder = "healthimaging/dicomweb"
    modules = (
        "accept attributes dicom_json fields frames kept lookup matching part10 "
        "pixels query routes search"
    )
    assert {f"{folder}/{name}" for name in modules.split()} <= found
