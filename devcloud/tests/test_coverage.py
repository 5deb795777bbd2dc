"""COVERAGE.md tells what the servers answer today."""

import pytest

from isocenter.devcloud.coverage import PAGE, assumptions, main


@pytest.mark.timeout(60)
def test_the_page_is_up_to_date():
    command = "python -m isocenter.devcloud.coverage"
    assert main(["--check"]) == 0, f"stale: run `{command}`"
    page = PAGE.read_text()
    assert "| StartPipelineExecution | built |" in page
    assert "| StartDICOMImportJob | built |" in page


def test_assumptions_are_found():
    assert any(text.startswith("`sagemaker/operations`:") for text in assumptions())
