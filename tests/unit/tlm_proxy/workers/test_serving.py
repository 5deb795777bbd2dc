"""What several workers need before they begin."""

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.tlm_proxy.workers.serving import serve_together


def test_a_folder_too_deep_for_sockets_is_said(settings_of, tmp_path):
    deep = tmp_path / ("l" * 100)
    deep.mkdir()
    with pytest.raises(ConfigurationError, match=r"WORKERS_FOLDER: .* too long"):
        serve_together(settings_of(workers=2, workers_folder=str(deep)))
    assert not list(deep.iterdir())
