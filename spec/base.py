"""What every model of the spec is built from: strict, frozen, and free of YAML's accidental conversions."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_NAME = 80  # names of scripts and figures are made of two of them, and a file's has 255 bytes
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}\Z")
MAX_SEED = 2**32 - 1  # the most that every library takes
# Words with a meaning of their own where a name may stand, so that nothing else may bear them.
RESERVED = ("base", "prev", "final", "tasks", "data", "merge")


class Model(BaseModel):
    """A node of the spec: unknown keys are errors, values are never changed after loading."""

    # What may stand in place of the mapping, as it goes on after the word "expected".
    SHORT: ClassVar[str] = ""
    # Fields that are no keys in YAML.
    HIDDEN: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


Int = Annotated[int, Field(strict=True)]
PositiveInt = Annotated[int, Field(strict=True, gt=0)]
Count = Annotated[int, Field(strict=True, ge=0)]
Float = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
Bool = Annotated[bool, Field(strict=True)]
Json = dict[str, Any]


def _name(value: str) -> str:
    if not NAME.match(value):
        raise ValueError("a name is letters, digits, `_` and `-`, and starts with a letter or a digit")
    if value in RESERVED:
        raise ValueError(f"`{value}` is reserved")
    return value


def is_target(value: str) -> bool:
    """Whether this is `module:function`."""
    module, colon, function = value.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _target(value: str) -> str:
    if not is_target(value):
        raise ValueError("a Python callable is written `module:function`")
    return value


Name = Annotated[str, AfterValidator(_name)]
Target = Annotated[str, AfterValidator(_target)]
