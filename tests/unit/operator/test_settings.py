import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.settings import load
from isocenter.operator.intake import main as intake_main
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.main import main
from isocenter.operator.settings import OperatorSettings


def test_operator_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPERATOR_NAMESPACE", "imaging")
    monkeypatch.setenv("OPERATOR_BUCKET", "a-bucket")
    settings = load(OperatorSettings)
    assert (settings.runs_prefix, settings.poll_interval_s) == ("runs/", 15.0)
    monkeypatch.setenv("OPERATOR_IMPORT_ROLE_ARN", "import")
    with pytest.raises(ConfigurationError, match="OPERATOR_IMPORT_ROLE_ARN"):
        load(OperatorSettings)


def test_intake_from_the_environment(monkeypatch):
    with pytest.raises(ConfigurationError, match="INTAKE_QUEUE_URL"):
        load(IntakeSettings)
    monkeypatch.setenv("INTAKE_QUEUE_URL", "https://sqs/1/q")
    monkeypatch.setenv("INTAKE_NAMESPACE", "imaging")
    monkeypatch.setenv("INTAKE_BUCKET", "a-bucket")
    assert load(IntakeSettings).batches_prefix == "batches/"
    monkeypatch.setenv("INTAKE_BATCHES_PREFIX", "batches")
    with pytest.raises(ConfigurationError, match="INTAKE_BATCHES_PREFIX"):
        load(IntakeSettings)


@pytest.mark.parametrize(
    ("entry", "name"), [(main, "OPERATOR_BUCKET"), (intake_main.main, "INTAKE_BUCKET")]
)
def test_a_wrong_setting_stops_the_start(entry, name, capsys):
    with pytest.raises(SystemExit) as caught:
        entry()
    assert caught.value.code == 2
    assert name in capsys.readouterr().err
