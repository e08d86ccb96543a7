"""A plugin's parameters as types: one annotation is a parameter's validation, default and range.

class MlpParams(Params):
    dropout: Annotated[float, Choice(0.0, 0.2, 0.5)] = 0.0
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from tlsearch.space import Choice, FloatRange, IntRange, Range


class Params(BaseModel):
    """Base of a plugin's parameters: frozen, refuses unknown keys, and checks its own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*")
    @classmethod
    def _lies_in_its_range(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic ignores metadata that it does not know, so the ranges are applied here
        declared = ranges_of(cls).get(info.field_name or "")
        return value if declared is None else declared.check(value)


def ranges_of(params: type[Params]) -> dict[str, Range]:
    """The searched parameters of a plugin and their ranges, in declared order.

    A parameter without a range in its annotation keeps its default: it is set, not searched.
    """
    found: dict[str, Range] = {}
    for name, field in params.model_fields.items():
        for extra in field.metadata:
            if isinstance(extra, Choice | IntRange | FloatRange):
                found[name] = extra
    return found
