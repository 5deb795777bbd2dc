"""The processes, their settings classes, and which settings the chart fills in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from isocenter.core.settings import ProcessSettings
from isocenter.fetcher.settings import FetcherSettings
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.settings import OperatorSettings
from isocenter.storescp.settings import RENAMED, StoreScpSettings
from isocenter.tlm_proxy.settings import Settings as TlmProxySettings


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        title: as written in the reference.
        component: its key in values.yaml.
        settings: its settings class.
        filled: settings that the chart sets itself, so `config` does not take them.
        renamed: earlier names of settings, which `config` still takes.
    """

    title: str
    component: str
    settings: type[ProcessSettings]
    filled: frozenset[str]
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Prefix of its environment variables."""
        return str(self.settings.model_config["env_prefix"])


PROCESSES = (
    Process(
        title="storescp",
        component="storescp",
        settings=StoreScpSettings,
        filled=frozenset(
            {"bucket", "datastore_id", "spool_dir", "tls_cert_file", "tls_key_file"}
        ),
        renamed=RENAMED,
    ),
    Process("tlm-proxy", "tlmProxy", TlmProxySettings, frozenset()),
    Process("fetcher", "fetcher", FetcherSettings, frozenset({"bucket", "work_dir"})),
    Process(
        title="operator",
        component="operator",
        settings=OperatorSettings,
        filled=frozenset({"bucket", "import_role_arn", "namespace"}),
    ),
    Process(
        title="intake",
        component="intake",
        settings=IntakeSettings,
        filled=frozenset({"bucket", "queue_url", "namespace"}),
    ),
)
