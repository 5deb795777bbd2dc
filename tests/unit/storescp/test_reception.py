"""Settings become limits; probes and metrics say how the volume does."""

import os
import time

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.storescp import reception


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (0, 0, None)),
        ({"spool_min_free_bytes": 1000}, (1000, 1250, None)),
        (
            {"spool_min_free_bytes": 1000, "spool_resume_free_bytes": 5000},
            (1000, 5000, None),
        ),
        ({"spool_max_bytes": 9000}, (0, 0, 9000)),
        ({"spool_max_bytes": 9000, "workers": 3}, (0, 0, 3000)),
    ],
)
def test_watermarks(make_settings, changes, expected):
    limits = reception.watermarks(make_settings(**changes))
    assert (
        limits.min_free_bytes,
        limits.resume_free_bytes,
        limits.max_bytes,
    ) == expected


@pytest.mark.parametrize(
    ("changes", "metadata_prefix"),
    [({}, None), ({"create_metadata": True, "metadata_prefix": "M"}, "M/")],
)
def test_where_metadata_goes(make_settings, changes, metadata_prefix):
    made = reception.destination(make_settings(**changes))
    assert made.metadata_prefix == metadata_prefix


def test_a_study_has_a_folder_if_so_set(make_settings):
    made = reception.destination(make_settings(add_studyuid_prefix=True))
    assert made.instance_key("b1", "1.2.3", "9.8") == "DICOM/b1/9.8/1.2.3.dcm"


def test_a_folder_that_cannot_be_made_is_named(make_settings, s3, tmp_path, helpers):
    (tmp_path / "file").write_text("")
    settings = make_settings(spool_dir=tmp_path / "file" / "spool")
    with pytest.raises(ConfigurationError, match="STORESCP_SPOOL_DIR"):
        helpers.build(settings, s3)


def test_a_full_volume_is_not_ready(start):
    process = start(spool_min_free_bytes=10**18)
    assert process.ready() == "the spool volume is nearly full"


def test_the_oldest_batch_has_an_age(start, associate, s3, helpers):
    s3.away = True
    process = start()
    assert process.reception.oldest_s() == 0
    assert associate(process).send_c_store(helpers.ct()).Status == 0x0000
    (batch,) = process.reception.spool.batches()
    made = process.reception.spool.root / batch / "batch.json"
    os.utime(made, (time.time() - 100,) * 2)
    assert 100 <= process.reception.oldest_s() < 110
