"""Judging what was sent by a model of it: what is wrong is told in our own form, and repeats nothing of what was given."""

from typing import Any

from pydantic import BaseModel, ValidationError

from domain.errors import Fault, Invalid


def validated(model: type[BaseModel], given: Any) -> Any:
    """The model of what was given. Raises `Invalid` with a pointer to each fault and nothing of what was given."""
    try:
        return model.__pydantic_validator__.validate_python(given)
    except ValidationError as error:
        raise Invalid(*(_fault(detail, given) for detail in error.errors(include_url=False, include_input=False))) from None


def _fault(error: Any, given: Any) -> Fault:
    """A fault in our own form. Two kinds of pydantic's would repeat the input: the name of an unknown key, and a bad tag."""
    match error["type"]:
        case "extra_forbidden":
            location, detail = error["loc"][:-1], "There is a key or parameter that is not known here"
        case "union_tag_invalid":
            location = (*error["loc"], error["ctx"]["discriminator"].strip("'"))
            detail = f"Input should be one of {error['ctx']['expected_tags']}"
        case _:
            location, detail = error["loc"], error["msg"].removeprefix("Value error, ")
    return Fault(
        pointer=_pointer(location, given, is_missing=error["type"] == "missing"), code=error["type"].replace("_", "-"), detail=f"{detail}."
    )


def _pointer(location: tuple[str | int, ...], given: Any, *, is_missing: bool) -> str:
    """A JSON pointer (RFC 6901). The location also names the variants of unions, which the pointer has no steps for."""
    steps: list[str] = []
    for position, step in enumerate(location):
        if _holds(given, step):
            given = given[step]
        elif not (is_missing and position == len(location) - 1):
            continue
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{step}" for step in steps)


def _holds(given: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(given, list) and step < len(given)
    return isinstance(given, dict) and step in given
