"""JSON Schema of the documents, from their dataclasses: docs/schemas/ has what this makes.

A field's description is what its class's docstring says under "Attributes".
"""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from tools.documents.device_verdict import DeviceVerdict
from tools.documents.document import Document, hints_of, is_optional
from tools.documents.known_samples import KnownSamples
from tools.documents.latency import Latency
from tools.documents.layers import LayerReport
from tools.documents.model_bundle import Manifest, MeasuredFps
from tools.documents.promotion import Promotion
from tools.documents.registration import Registration
from tools.documents.release_manifest import ReleaseManifest
from tools.documents.report import BundleReport, Report
from tools.documents.settings import Settings
from tools.documents.summary import BundleSummary, Summary
from tools.documents.verdict import Verdict

DOCUMENTS: tuple[type[Document], ...] = (
    BundleReport,
    BundleSummary,
    DeviceVerdict,
    KnownSamples,
    Latency,
    LayerReport,
    Manifest,
    MeasuredFps,
    Promotion,
    Registration,
    ReleaseManifest,
    Report,
    Settings,
    Summary,
    Verdict,
)
_SCALARS = {
    bool: "boolean",
    float: "number",
    int: "integer",
    str: "string",
    types.NoneType: "null",
}
_FIELD = re.compile(r"^  (\w+): (.*)$")


def schema_file(kind: type[Document]) -> str:
    """Names the file of a document's schema."""
    return f"{kind.KIND.split('.')[-1]}.schema.json"


def schema_of(kind: type[Document]) -> dict[str, Any]:
    """Makes the JSON Schema (draft 2020-12) of a document.

    Args:
      kind: the document's class.

    Returns:
      What `json.dumps` takes. Fields that are not known are allowed where the reader passes
      over them.
    """
    parts: dict[str, Any] = {}
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.KIND,
    }
    schema |= _object(kind, parts, kind.KNOWN_FIELDS_ONLY)
    return schema | {"$defs": parts} if parts else schema


def described_fields(kind: type) -> dict[str, str]:
    """Reads what a dataclass's docstring says of its fields, each on one line."""
    lines = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        start = _FIELD.match(line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _object(kind: type, parts: dict[str, Any], known_fields_only: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if issubclass(kind, Document):
        properties = {
            "kind": {"const": kind.KIND},
            "schema_version": {"const": kind.SCHEMA_VERSION},
        }
    required = list(properties)
    told = described_fields(kind)
    hints = hints_of(kind)
    for field in dataclasses.fields(kind):
        described = {"description": told[field.name]}
        properties[field.name] = described | _value(hints[field.name], parts, known_fields_only)
        required += [] if is_optional(field) else [field.name]
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    result = {
        "description": summary,
        "properties": properties,
        "required": sorted(required),
        "type": "object",
    }
    return result | {"additionalProperties": False} if known_fields_only else result


def _value(hint: Any, parts: dict[str, Any], known_fields_only: bool) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    def inner(one: Any) -> dict[str, Any]:
        return _value(one, parts, known_fields_only)

    if hint is Any:
        return {}
    if origin is Annotated:
        return inner(arguments[0]) | {limit.keyword: limit.value for limit in hint.__metadata__}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        if all(one in _SCALARS for one in arguments):
            return {"type": [_SCALARS[one] for one in arguments]}
        return {"anyOf": [inner(one) for one in arguments]}
    if origin is tuple:
        return {"items": inner(arguments[0]), "type": "array"}
    if origin is not None and issubclass(origin, Mapping):
        names = {} if arguments[0] is str else {"propertyNames": inner(arguments[0])}
        return {"additionalProperties": inner(arguments[1]), "type": "object"} | names
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if hint.__name__ not in parts:
            parts[hint.__name__] = _object(hint, parts, known_fields_only)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _SCALARS[hint]}
