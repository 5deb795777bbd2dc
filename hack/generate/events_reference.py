"""docs/reference/events.md: what intake consumes, and what the processes cause."""

import json

from isocenter.operator.executions import describes
from isocenter.operator.intake.event_patterns import AWAITED, Awaited
from isocenter.operator.intake.reducer import EVENT_ANNOTATION, TRIGGER_LABEL
from isocenter.operator.resources import HINT_ANNOTATION

HEAD = """# Events

Made by `make generate` from `isocenter.operator.intake.event_patterns`; don't edit.

Rules of EventBridge deliver AWS's events to the SQS queue that intake reads. Events are
hints: each may come late, twice or not at all, and in any order. What a lost one would
have caused is found by other means, named below.

## Consumed by intake
"""
EMITTED = """
## Caused by the processes

isocenter puts no event of its own on a bus. What its processes write makes AWS tell:

| process | writes | AWS then tells |
|---|---|---|
| storescp | `batches/<batch>.json`, last of a batch | `aws.s3` Object Created |
| operator | an import job | `aws.medical-imaging` Import Job, Image Set |
| operator | an execution, `{description}` | `aws.sagemaker` Pipeline |

Kubernetes Events: none. What happened to a resource is in its conditions
([conditions](conditions.md)), which stay as long as it does.

## Marks on resources

| mark | on | meaning |
|---|---|---|
| annotation `{event}` | DICOMImportJob, TrainingRun | event or sweep that made it |
| annotation `{hint}` | DICOMImportJob, TrainingRun | id of the last event about it |
| label `{trigger}` | TrainingRun | its TrainingTrigger, cut to 63 characters |
"""


def events_reference() -> str:
    """The page's text."""
    emitted = EMITTED.format(
        description=describes("<namespace>", "<name>"),
        event=EVENT_ANNOTATION,
        hint=HINT_ANNOTATION,
        trigger=TRIGGER_LABEL,
    )
    return HEAD + "".join(map(_section, AWAITED)) + emitted


def _section(awaited: Awaited) -> str:
    types = ", ".join(sorted(awaited.detail_types))
    return f"""
### {awaited.source}: {types}

{awaited.effect}
Read of `detail`: {awaited.needs}. Lost: {awaited.without}.

```json
{json.dumps(awaited.pattern)}
```
"""
