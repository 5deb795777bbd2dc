"""docs/reference/logs.md: the fields of log lines."""

from isocenter.core.log import MEANINGS

HEAD = """# Logs

Made by `make generate` from `isocenter.core.log`; don't edit.

Every process writes one JSON object a line to stderr. `time` (ISO 8601, UTC), `level`
(DEBUG, INFO, WARNING, ERROR, CRITICAL), `service`, `logger` and `message` are in every
line, `exception` (a traceback) where there was one. Beside them only the fields below
are ever written: a field that is not listed is dropped, so that no patient attribute
gets into a log. Lines of third-party libraries appear from WARNING on.

`<PREFIX>LOG_LEVEL` is the least level that is written; see [settings](settings.md).

| field | what it is |
|---|---|
"""


def log_reference() -> str:
    """The page's text."""
    return HEAD + "".join(
        f"| `{name}` | {text} |\n" for name, text in sorted(MEANINGS.items())
    )
