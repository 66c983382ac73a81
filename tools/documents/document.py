"""Documents: frozen dataclasses that are read from JSON, and written as JSON.

A field's type hint says what its JSON is: another dataclass is an object, tuple[X, ...] a list,
Mapping[str, X] an object of any names, a Literal one of its values, X | None may be null. Of a
union of dataclasses the Literal field that all have (`type`) tells which one it is, else the names
of the fields. Annotated[X, Limit("minimum", 0)] holds a value to a keyword of JSON Schema.

A field whose default is None is left out where it is None, and may be missing. One with another
default may be missing too, and is always written.
"""

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Union

from tools.documents.json_file import json_text, read_json, write_json
from tools.errors import InputError

D = TypeVar("D", bound="Document")

# What values can be held to: the check, and how messages say it.
_LIMITS = {
    "exclusiveMinimum": (lambda value, limit: value > limit, "a number above {}"),
    "maximum": (lambda value, limit: value <= limit, "a number up to {}"),
    "minItems": (lambda value, limit: len(value) >= limit, "a list of {} or more"),
    "minLength": (lambda value, limit: len(value) >= limit, "a text"),
    "minimum": (lambda value, limit: value >= limit, "a number from {}"),
    "pattern": (lambda value, limit: re.search(limit, value), "a text that {} matches"),
    "uniqueItems": (
        lambda value, _: len(set(map(str, value))) == len(value),
        "a list without repeats",
    ),
}
_SCALARS = {
    bool: ((bool,), "true or false"),
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
    str: ((str,), "a text"),
    types.NoneType: ((types.NoneType,), "null"),
}


@dataclasses.dataclass(frozen=True)
class Limit:
    """What a value is held to, in Annotated.

    Attributes:
      keyword: of JSON Schema, one of _LIMITS.
      value: of the keyword.
    """

    keyword: str
    value: bool | float | str


class Document:
    """What is written to a file of its own, with a kind and a version.

    Subclasses are frozen dataclasses.

    Attributes:
      KIND: the field `kind`; its last part is what messages call the document.
      SCHEMA_VERSION: the field `schema_version`. A field may be added without a new one; none
        changes its meaning.
      MADE_BY: the command and flag that write it; "" for what people write.
      KNOWN_FIELDS_ONLY: whether a field that is not known is refused: it may be misspelt.
    """

    KIND: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = ""
    KNOWN_FIELDS_ONLY: ClassVar[bool] = False

    @classmethod
    def kind_name(cls) -> str:
        """Gives what messages call such a document."""
        return cls.KIND.split(".")[-1].replace("_", " ")

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """Makes the document of parsed JSON.

        Args:
          value: from `json.loads`.
          where: how messages name it.

        Raises:
          InputError: one line with the field, what is wrong, and what to do.
        """
        try:
            return _Reader(cls.KNOWN_FIELDS_ONLY).read(cls, value, "")
        except _WrongValue as error:
            remedy = f"; make the {cls.kind_name()} again with {cls.MADE_BY}" if cls.MADE_BY else ""
            raise InputError(error.code, f"{where}: {error}{remedy}") from None

    def to_json(self) -> dict[str, Any]:
        """Gives what `json.dumps` takes, kind and version included."""
        return to_json(self)

    def text(self) -> str:
        """Writes it as JSON; equal documents give the same bytes."""
        return json_text(self.to_json())


def read_document(path: Path, kind: type[D]) -> D:
    """Reads a document from a file.

    Args:
      path: of the file.
      kind: the class of the document.

    Raises:
      InputError: one line with the file, the field, what is wrong, and what to do.
      OSError: when the file cannot be read.
    """
    return kind.from_json(read_json(path), str(path))


def write_document(path: Path, document: Document) -> None:
    """Writes a document to a file whole, or not at all."""
    write_json(path, document.to_json())


def to_json(value: Any) -> Any:
    """Gives the JSON form of a part of a document: what `json.dumps` takes."""
    if dataclasses.is_dataclass(value):
        head: dict[str, Any] = {}
        if isinstance(value, Document):
            head = {"kind": value.KIND, "schema_version": value.SCHEMA_VERSION}
        return head | {
            field.name: to_json(inner)
            for field in dataclasses.fields(value)
            if (inner := getattr(value, field.name)) is not None or field.default is not None
        }
    if isinstance(value, Mapping):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(inner) for inner in value]
    return value


def from_json(kind: type, value: Any, where: str) -> Any:
    """Makes a part of a document of parsed JSON.

    Args:
      kind: the dataclass of the part.
      value: from `json.loads`.
      where: how messages name it.

    Raises:
      InputError: one line with the field and what is wrong.
    """
    try:
        return _Reader(known_fields_only=False).read(kind, value, "")
    except _WrongValue as error:
        raise InputError(error.code, f"{where}: {error}") from None


@functools.cache
def hints_of(kind: type) -> dict[str, Any]:
    """Gives the type hints of a dataclass's fields, Annotated included."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def is_optional(field: dataclasses.Field) -> bool:
    """Whether a field may be missing: it has a default, and does not tell classes apart."""
    no_default = field.default is dataclasses.MISSING and (
        field.default_factory is dataclasses.MISSING
    )
    return not (no_default or field.name == "type")


class _WrongValue(Exception):
    """What is wrong with which field, and the code of it."""

    def __init__(self, message: str, code: str = "document.field"):
        super().__init__(message)
        self.code = code


class _Reader:
    """Makes values of the types that hints name."""

    def __init__(self, known_fields_only: bool):
        self._known_fields_only = known_fields_only

    def read(self, hint: Any, value: Any, field: str) -> Any:
        """Reads a value; `field` is where it stands, "" for the whole document."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is Any:
            return value
        if origin is Annotated:
            return self._limited(arguments[0], hint.__metadata__, value, field)
        if origin is Literal:
            if value not in arguments:
                raise _wrong(field, value, "one of " + ", ".join(map(json.dumps, arguments)))
            return value
        if origin in (Union, types.UnionType):
            return self._one_of(arguments, value, field)
        if origin is tuple:
            if not isinstance(value, list):
                raise _wrong(field, value, "a list")
            return tuple(
                self.read(arguments[0], inner, f"{field}[{number}]")
                for number, inner in enumerate(value)
            )
        if origin is not None:
            if not isinstance(value, dict):
                raise _wrong(field, value, "an object")
            return {
                self.read(arguments[0], name, f"a name in {field}"): self.read(
                    arguments[1], inner, _below(field, name)
                )
                for name, inner in value.items()
            }
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._object(hint, value, field)
        if not _fits(hint, value):
            raise _wrong(field, value, _SCALARS[hint][1])
        return value

    def _limited(self, hint: Any, limits: tuple[Limit, ...], value: Any, field: str) -> Any:
        result = self.read(hint, value, field)
        for limit in limits:
            holds, words = _LIMITS[limit.keyword]
            if not holds(value, limit.value):
                raise _wrong(field, value, words.format(limit.value))
        return result

    def _one_of(self, hints: tuple, value: Any, field: str) -> Any:
        """Reads a value of the member of a union that it fits."""
        if value is None and types.NoneType in hints:
            return None
        hints = tuple(hint for hint in hints if hint is not types.NoneType)
        classes = [
            hint for hint in hints if isinstance(hint, type) and dataclasses.is_dataclass(hint)
        ]
        if len(hints) == 1:
            return self.read(hints[0], value, field)
        if not classes:
            for hint in hints:
                if _fits(hint, value):
                    return value
            raise _wrong(field, value, " or ".join(_SCALARS[hint][1] for hint in hints))
        if not isinstance(value, dict):
            raise _wrong(field, value, "an object")
        types_of = {
            typing.get_args(hints_of(one)["type"])[0]: one
            for one in classes
            if "type" in hints_of(one)
        }
        if types_of:
            return self.read(self._named(types_of, value, field), value, field)
        most = max(classes, key=lambda one: len(hints_of(one).keys() & value.keys()))
        return self.read(most, value, field)

    @staticmethod
    def _named(types_of: Mapping[str, type], value: Mapping[str, Any], field: str) -> type:
        where = _below(field, "type")
        if "type" not in value:
            raise _WrongValue(f"{where} is missing")
        if value["type"] not in list(types_of):
            raise _wrong(where, value["type"], "one of " + ", ".join(map(json.dumps, types_of)))
        return types_of[value["type"]]

    def _object(self, kind: type, value: Any, field: str) -> Any:
        if issubclass(kind, Document):
            value = _checked_head(kind, value, field)
        if not isinstance(value, dict):
            raise _wrong(field, value, "an object")
        hints = hints_of(kind)
        for one in dataclasses.fields(kind):
            if one.name not in value and not is_optional(one):
                raise _WrongValue(f"{_below(field, one.name)} is missing")
        unknown = sorted(value.keys() - hints.keys())
        if unknown and self._known_fields_only:
            raise _WrongValue(
                f"{_below(field, unknown[0])} is an unknown field; there are {', '.join(hints)}"
            )
        known = {
            name: self.read(hint, value[name], _below(field, name))
            for name, hint in hints.items()
            if name in value
        }
        try:
            return kind(**known)
        except InputError as error:
            raise _WrongValue(str(error), error.code) from None


def _checked_head(kind: type[Document], value: Any, field: str) -> dict[str, Any]:
    """Refuses another kind or version; gives the other fields."""
    if not isinstance(value, dict):
        raise _wrong(field, value, "an object", "document.kind")
    for name, wanted, code in (
        ("kind", kind.KIND, "document.kind"),
        ("schema_version", kind.SCHEMA_VERSION, "document.version"),
    ):
        found = value.get(name)
        if type(found) is not type(wanted) or found != wanted:
            raise _wrong(_below(field, name), found, json.dumps(wanted), code)
    return {name: one for name, one in value.items() if name not in ("kind", "schema_version")}


def _fits(hint: type, value: Any) -> bool:
    return isinstance(value, _SCALARS[hint][0]) and (hint is bool or not isinstance(value, bool))


def _below(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _wrong(field: str, value: Any, wanted: str, code: str = "document.field") -> _WrongValue:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return _WrongValue(f"{field or 'it'} is {shown}, not {wanted}", code)
