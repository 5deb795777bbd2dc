import pytest

from isocenter.core.errors import MalformedError
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.names import SpoolName

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize("conflict", [True, False])
@pytest.mark.parametrize("calling_ae", ["", "CT ROOM 1", "A/B~C", "." * 16])
@pytest.mark.parametrize("uid", ["1.2.3", "1" * 64])
def test_a_name_says_what_was_put_into_it(uid, calling_ae, conflict):
    name = SpoolName(uid, SHA, calling_ae, conflict)
    assert SpoolName.parse(str(name)) == name
    assert len(f"{name}.dcm.part") < 255
    assert "/" not in str(name)


@pytest.mark.parametrize(
    "name",
    [
        "1.2.3",
        "probe",
        f"..~{SHA}~41",
        f"1.2.3~{SHA}~4",
        f"1.2.3~{SHA[:-1]}~41",
        f"1.2.3-01~{SHA}~41",
        f"1.2.3~{SHA}~41\n",
        f"{'1' * 65}~{SHA}~41",
    ],
)
def test_other_names_are_not_ours(name):
    with pytest.raises(MalformedError):
        SpoolName.parse(name)


def test_keys():
    plain = Destination(
        bucket="b", datastore="d", dicom_prefix="DICOM/", batches_prefix="batches/"
    )
    full = plain.model_copy(
        update={"add_studyuid_prefix": True, "gzip": True, "metadata_prefix": "meta/"}
    )
    stem = SpoolName("1.2.3", SHA, "CT", conflict=True).stem
    assert plain.instance_key("b1", "1.2.3", "1.9") == "DICOM/b1/1.2.3.dcm"
    assert plain.metadata_key("b1", "1.2.3", "1.9") is None
    assert (
        full.instance_key("b1", stem, "1.9")
        == "DICOM/b1/1.9/1.2.3-0123456789abcdef.dcm.gz"
    )
    assert full.metadata_key("b1", "1.2.3", "1.9") == "meta/b1/1.9/1.2.3.json.gz"
    assert plain.manifest_key("b1") == "batches/b1.json"
