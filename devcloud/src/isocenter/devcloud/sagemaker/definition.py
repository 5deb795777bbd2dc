"""A pipeline definition (Version 2020-12-01), parsed and refused when invalid.

Assumed: everything refused here is refused by CreatePipeline and UpdatePipeline, not
only at the start. RetryPolicies and CacheConfig of a step are accepted: no step is
tried again and no cache is ever hit. PipelineExperimentConfig has no effect.
"""

import json
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from isocenter.devcloud.sagemaker.errors import NotBuiltError, ValidationError
from isocenter.devcloud.sagemaker.expressions import Reference, references
from isocenter.devcloud.shapes import service_model

VERSION = "2020-12-01"
# Step type -> the operation whose answer the step's properties are.
DESCRIBE = {"Processing": "DescribeProcessingJob", "Training": "DescribeTrainingJob"}
# Types SageMaker knows and this cloud does not run.
NOT_BUILT = frozenset(
    {
        "AutoML",
        "Callback",
        "ClarifyCheck",
        "Condition",
        "EMR",
        "EMRServerless",
        "Fail",
        "Lambda",
        "Model",
        "NotebookJob",
        "QualityCheck",
        "RegisterModel",
        "Transform",
        "Tuning",
    }
)
_PARAMETER_TYPES = {"String": str, "Integer": int, "Float": float, "Boolean": bool}
_STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}\Z")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}\Z")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter; `default` None means mandatory at start."""

    name: str
    type: str
    default: str | int | float | bool | None = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step and the steps that must have succeeded before it starts."""

    name: str
    type: str
    arguments: dict[str, Any]
    after: frozenset[str]
    display_name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """Parameters by name, steps by name in definition order."""

    parameters: dict[str, Parameter]
    steps: dict[str, Step]


def parse(text: str) -> Definition:
    """Parse a PipelineDefinition; ValidationError or NotBuiltError say why not."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValidationError(
            f"Unable to parse pipeline definition: {error}"
        ) from error
    if not isinstance(document, dict):
        raise ValidationError("Unable to parse pipeline definition: not an object")
    if document.get("Version") != VERSION:
        raise ValidationError(
            f"Unknown pipeline definition Version [{document.get('Version')}], "
            f"expected {VERSION}"
        )
    parameters = _parameters(document.get("Parameters") or [])
    steps = _steps(document.get("Steps"))
    for step in steps.values():
        for reference in references(step.arguments):
            _check_reference(step, reference, parameters, steps)
    try:
        TopologicalSorter({s.name: s.after for s in steps.values()}).prepare()
    except CycleError as error:
        names = " -> ".join(error.args[1])
        raise ValidationError(
            f"Pipeline definition has a cycle between steps: {names}"
        ) from error
    return Definition(parameters, steps)


def bind(definition: Definition, given: dict[str, str]) -> dict[str, Any]:
    """Values of all parameters for one execution, in their declared types."""
    unknown = sorted(set(given) - set(definition.parameters))
    if unknown:
        raise ValidationError(f"Unknown pipeline parameters {unknown}")
    bound: dict[str, Any] = {}
    missing = []
    for name, parameter in definition.parameters.items():
        if name in given:
            bound[name] = _convert(parameter, given[name])
        elif parameter.default is None:
            missing.append(name)
        else:
            bound[name] = parameter.default
        if bound.get(name) == "":
            # Words of the real service (aws/sagemaker-python-sdk issue 4016), though
            # its API model allows a value of no characters.
            raise ValidationError(
                f'Parameter {name}: [string "" is too short (length: 0, required '
                "minimum: 1)]"
            )
    if missing:
        raise ValidationError(
            f"Parameters {missing} do not have default values and must be provided"
        )
    return bound


def _parameters(entries: Any) -> dict[str, Parameter]:
    if not isinstance(entries, list):
        raise ValidationError("Parameters must be a list")
    parameters: dict[str, Parameter] = {}
    for entry in entries:
        name = entry.get("Name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _PARAMETER_NAME.match(name):
            raise ValidationError(f"Invalid parameter name [{name}]")
        if name in parameters:
            raise ValidationError(f"Duplicate parameter [{name}]")
        if entry.get("Type") not in _PARAMETER_TYPES:
            raise ValidationError(
                f"Unknown type [{entry.get('Type')}] of parameter {name}"
            )
        parameters[name] = _parameter(name, entry)
    return parameters


def _parameter(name: str, entry: dict[str, Any]) -> Parameter:
    parameter = Parameter(
        name=name,
        type=entry["Type"],
        default=entry.get("DefaultValue"),
        enum=tuple(entry.get("EnumValues") or ()),
    )
    default = parameter.default
    if default is not None:
        wanted = _PARAMETER_TYPES[parameter.type]
        right = isinstance(default, bool) == (wanted is bool) and (
            isinstance(default, wanted)
            or (wanted is float and isinstance(default, int))
        )
        if not right:
            raise ValidationError(
                f"DefaultValue of parameter {name} is not a {parameter.type}"
            )
        _check_enum(parameter, default)
    return parameter


def _convert(parameter: Parameter, text: str) -> Any:
    """StartPipelineExecution carries every value as a string."""
    try:
        if parameter.type == "Integer":
            return int(text)
        if parameter.type == "Float":
            return float(text)
    except ValueError as error:
        raise ValidationError(
            f"Value of parameter {parameter.name} is not a {parameter.type}"
        ) from error
    if parameter.type == "Boolean":
        if text.lower() not in {"true", "false"}:
            raise ValidationError(f"Value of parameter {parameter.name} is not Boolean")
        return text.lower() == "true"
    _check_enum(parameter, text)
    return text


def _check_enum(parameter: Parameter, value: Any) -> None:
    if parameter.enum and value not in parameter.enum:
        raise ValidationError(
            f"Value of parameter {parameter.name} is not one of {list(parameter.enum)}"
        )


def _steps(entries: Any) -> dict[str, Step]:
    if not isinstance(entries, list) or not entries:
        raise ValidationError("Pipeline definition must have at least one step")
    steps: dict[str, Step] = {}
    for entry in entries:
        step = _step(entry if isinstance(entry, dict) else {})
        if step.name in steps:
            raise ValidationError(f"Duplicate step name [{step.name}]")
        steps[step.name] = step
    for step in steps.values():
        unknown = sorted(step.after - set(steps))
        if unknown:
            raise ValidationError(
                f"Step {step.name} depends on unknown steps {unknown}"
            )
    return steps


def _step(entry: dict[str, Any]) -> Step:
    name, kind, arguments = entry.get("Name"), entry.get("Type"), entry.get("Arguments")
    if not isinstance(name, str) or not _STEP_NAME.match(name):
        raise ValidationError(f"Invalid step name [{name}]")
    if kind in NOT_BUILT:
        raise NotBuiltError(f"Steps of type {kind} are not built in devcloud: {name}")
    if kind not in DESCRIBE:
        raise ValidationError(f"Unknown type [{kind}] of step {name}")
    if not isinstance(arguments, dict):
        raise ValidationError(f"Step {name} has no Arguments")
    depends_on = entry.get("DependsOn") or []
    if not isinstance(depends_on, list) or not all(
        isinstance(other, str) for other in depends_on
    ):
        raise ValidationError(f"DependsOn of step {name} must be a list of step names")
    used = {ref.name for ref in references(arguments) if ref.root == "Steps"}
    return Step(
        name=name,
        type=kind,
        arguments=arguments,
        after=frozenset(used | set(depends_on)),
        display_name=entry.get("DisplayName"),
        description=entry.get("Description"),
    )


def _check_reference(
    step: Step,
    reference: Reference,
    parameters: dict[str, Parameter],
    steps: dict[str, Step],
) -> None:
    if reference.root == "Parameters" and reference.name not in parameters:
        raise ValidationError(
            f"Step {step.name} refers to the unknown parameter {reference.name}"
        )
    if reference.root == "Steps":
        _check_path(step, reference, steps[reference.name].type)


def _check_path(step: Step, reference: Reference, kind: str) -> None:
    """A property must exist in the shape of the describing operation's answer."""
    shape = service_model("sagemaker").operation_model(DESCRIBE[kind]).output_shape
    for token in reference.path:
        if shape.type_name == "structure" and token in shape.members:
            shape = shape.members[token]
        elif shape.type_name == "list":
            shape = shape.member
        elif shape.type_name == "map":
            shape = shape.value
        else:
            dotted = ".".join(map(str, reference.path))
            raise ValidationError(
                f"Step {step.name} refers to the unknown property {dotted} "
                f"of step {reference.name}"
            )
