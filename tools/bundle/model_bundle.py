"""Model bundles: variants of one model, and the manifest by which an app chooses among them.

A bundle is a zip of stored, aligned members: manifest.json, then one .tflite a variant. The
manifest's form is model_bundle.schema.json; selectors/ has what reads it on a device.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.bundle.task_bundle import Member, task_bundle_bytes
from tools.documents.json_file import json_text
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import parse_model
from tools.graph.min_runtime import min_runtime
from tools.graph.runtime_version import version_key

KIND = "rules_quantize.model_bundle"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MEASURED_KIND = "rules_quantize.measured_fps"

CHOOSE = ("first_fast_enough", "fastest")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REQUIREMENTS = {"abis": list, "api_level": int, "delegates": list, "ram_mb": int}


@dataclasses.dataclass(frozen=True)
class Variant:
    """A model of a bundle.

    Attributes:
      name: such as "high".
      content: the whole .tflite file.
      scheme: how it was quantized; "" where nobody says.
      version: of the artifact, as the team counts them; "" where nobody says.
    """

    name: str
    content: bytes
    scheme: str = ""
    version: str = ""


def _check_name(what: str, name: Any, where: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: {what} {name!r} is no name; give letters, digits, dots, dashes and "
            "underscores, at most 64"
        )


def _object(what: str, value: Any, known: Sequence[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: {what} is {value!r}; give an object")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise InputError(f"{where}: {what} has no {unknown[0]}; there are {', '.join(known)}")
    return value


def _requirements(name: str, given: Any, where: str) -> dict:
    what = f"requires of {name}"
    found = dict(_object(what, given, [*_REQUIREMENTS, "min_runtime"], where))
    for field, kind in _REQUIREMENTS.items():
        value = found.setdefault(field, kind())
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if kind is list:
            fits = fits and all(isinstance(one, str) and one for one in value)
        elif fits:
            fits = value >= 0
        if not fits:
            wanted = "a list of names" if kind is list else "a whole number from 0"
            raise InputError(f"{where}: {what}: {field} is {value!r}; give {wanted}")
    if "min_runtime" in found:
        version_key(found["min_runtime"], f"{where}: {what}: min_runtime")
    return found


def _policy(given: Any, names: Sequence[str], where: str) -> dict:
    found = dict(_object("policy", given, ["choose", "fallback", "min_fps", "order"], where))
    found.setdefault("order", list(names))
    order = found["order"]
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(names):
        raise InputError(
            f"{where}: the policy's order is {order!r}; give each variant once: {', '.join(names)}"
        )
    minimum = found.setdefault("min_fps", 0)
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not 0 <= minimum < 1e9:
        raise InputError(f"{where}: the policy's min_fps is {minimum!r}; give a number from 0")
    choose = found.setdefault("choose", CHOOSE[0] if minimum else CHOOSE[1])
    if choose not in CHOOSE:
        raise InputError(f"{where}: the policy's choose is {choose!r}; give {' or '.join(CHOOSE)}")
    fallback = found.setdefault("fallback", order[-1])
    if fallback not in names:
        raise InputError(
            f"{where}: the policy's fallback is {fallback!r}; the variants are {', '.join(names)}"
        )
    return found


def _measured(document: Any, variants: Mapping[str, str], where: str) -> dict[str, dict]:
    """Sorts measured figures by variant, and refuses those of other bytes."""
    if not isinstance(document, Mapping) or document.get("kind") != MEASURED_KIND:
        raise InputError(f'{where}: no measured figures; its kind should be "{MEASURED_KIND}"')
    if document.get("schema_version") != 1 or not isinstance(document.get("figures"), list):
        raise InputError(f"{where}: schema_version 1 with a list of figures is what is read here")
    fields = ["device_class", "fps", "sha256", "variant"]
    result: dict[str, dict] = {name: {} for name in variants}
    for number, row in enumerate(document["figures"]):
        what = f"figure {number}"
        if not isinstance(row, Mapping) or sorted(row) != fields:
            raise InputError(f"{where}: {what} is not an object of {', '.join(fields)}")
        name, fps = row["variant"], row["fps"]
        _check_name(f"the device_class of {what}", row["device_class"], where)
        if name not in variants:
            raise InputError(
                f"{where}: {what} is of the variant {name!r}; there are {', '.join(variants)}"
            )
        if row["sha256"] != variants[name]:
            raise InputError(
                f"{where}: {what} was measured on another {name} than the bundle's "
                f"({str(row['sha256'])[:12]} and {variants[name][:12]}); measure it again"
            )
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not math.isfinite(fps):
            raise InputError(f"{where}: {what}: fps is {fps!r}; give frames a second")
        if fps <= 0 or row["device_class"] in result[name]:
            reason = "is no speed" if fps <= 0 else "is there twice"
            raise InputError(f"{where}: {what} ({name} on {row['device_class']}) {reason}")
        result[name][row["device_class"]] = fps
    return result


def make_manifest(
    name: str,
    version: str,
    variants: Sequence[Variant],
    policy: Mapping[str, Any],
    requires: Mapping[str, Any],
    measured: Any = None,
    where: str = "bundle",
    measured_where: str = "measured figures",
) -> dict:
    """Writes down what a bundle holds.

    Args:
      name: of the bundle.
      version: of the bundle, as the team counts them.
      variants: the best first.
      policy: "order" of the variants (the given one), "min_fps" (0), "choose"
        ("first_fast_enough" where min_fps is given, else "fastest") and "fallback" (the last).
      requires: by variant: "abis", "delegates" (one of them is enough), "api_level",
        "ram_mb", and "min_runtime" where the operators' is not to be taken.
      measured: document of measured figures, or None.
      where: how messages name the bundle.
      measured_where: how messages name the figures.

    Returns:
      The manifest.

    Raises:
      InputError: says what cannot be used.
    """
    _check_name("name", name, where)
    _check_name("version", version, where)
    if not variants:
        raise InputError(f"{where}: a bundle of no variants; give it some")
    names = [variant.name for variant in variants]
    for one in names:
        _check_name("variant", one, where)
    if len({one.casefold() for one in names}) < len(names):
        raise InputError(f"{where}: two variants of one name among {', '.join(names)}")
    _object("requires", requires, names, where)
    digests = {v.name: hashlib.sha256(v.content).hexdigest() for v in variants}
    fps = _measured(measured, digests, measured_where) if measured is not None else {}
    entries = []
    for variant in variants:
        inside = f"{where}: variant {variant.name}"
        described = describe(variant.content, inside)
        found = _requirements(variant.name, requires.get(variant.name, {}), where)
        needed = min_runtime(parse_model(variant.content, inside))["version"]
        entries.append(
            {
                "bytes": len(variant.content),
                "file": f"{variant.name}.tflite",
                "fps": fps.get(variant.name, {}),
                "inputs": described["inputs"],
                "name": variant.name,
                "outputs": described["outputs"],
                "requires": {"min_runtime": needed or ""} | found,
                "scheme": variant.scheme,
                "sha256": digests[variant.name],
                "version": variant.version,
            }
        )
    ends = [(entry["inputs"], [o["shape"] for o in entry["outputs"]]) for entry in entries]
    for entry, (inputs, outputs) in zip(entries, ends, strict=True):
        shapes = [one["shape"] for one in inputs]
        if shapes != [one["shape"] for one in ends[0][0]] or outputs != ends[0][1]:
            raise InputError(
                f"{where}: {entry['name']} has inputs or outputs of other shapes than "
                f"{entries[0]['name']}; variants stand in for each other"
            )
    return {
        "kind": KIND,
        "name": name,
        "policy": _policy(policy, names, where),
        "schema_version": SCHEMA_VERSION,
        "variants": entries,
        "version": version,
    }


def model_bundle_bytes(manifest: Mapping[str, Any], variants: Sequence[Variant]) -> bytes:
    """Writes a bundle.

    Args:
      manifest: from `make_manifest`, of these variants.
      variants: its models.

    Returns:
      The whole zip; the same arguments give the same bytes.
    """
    members = [Member(MANIFEST, json_text(manifest).encode())]
    members += [Member(f"{variant.name}.tflite", variant.content) for variant in variants]
    return task_bundle_bytes(members)
