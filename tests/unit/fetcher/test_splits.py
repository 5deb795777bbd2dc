import pytest

from isocenter.fetcher.splits import patient_key, policy, split_of

RATIOS = (0.8, 0.1, 0.1)


def test_a_key_is_the_patient_and_the_secret():
    key = patient_key("s", "P", None, "1.2")
    assert key == patient_key("s", "P", "", "another study")
    assert len(key) == 32
    others = {
        patient_key("t", "P", None, "1.2"),
        patient_key("s", "Q", None, "1.2"),
        patient_key("s", "P", "issuer", "1.2"),
        patient_key("s", None, None, "1.2"),
        patient_key("s", None, None, "1.3"),
        patient_key("s", "1.2", None, "1.2"),
    }
    assert key not in others
    assert len(others) == 6


@pytest.mark.parametrize(
    ("key", "ratios", "split"),
    [
        ("0" * 32, RATIOS, "train"),
        ("cc" + "0" * 30, RATIOS, "train"),
        ("d" * 32, RATIOS, "validation"),
        ("f" * 32, RATIOS, "test"),
        ("f" * 32, (0.7, 0.2, 0.1), "test"),
        ("f" * 32, (1.0, 0.0, 0.0), "train"),
        ("0" * 32, (0.0, 0.5, 0.5), "validation"),
        ("f" * 32, (0.5, 0.5, 0.0), "validation"),
    ],
)
def test_split(key, ratios, split):
    assert split_of(key, ratios) == split


def test_shares_come_out():
    keys = [patient_key("s", str(i), None, "") for i in range(4000)]
    splits = [split_of(key, RATIOS) for key in keys]
    for name, share in zip(("train", "validation", "test"), RATIOS, strict=True):
        assert splits.count(name) / len(keys) == pytest.approx(share, abs=0.02)


def test_the_policy_names_the_key_without_telling_it():
    one = policy("secret", RATIOS)
    assert one == policy("secret", RATIOS)
    assert one.key_id != policy("other", RATIOS).key_id
    assert "secret" not in one.model_dump_json()
    assert (one.train, one.validation, one.test) == RATIOS
