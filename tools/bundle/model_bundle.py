"""Model bundles: variants of one model, and the manifest by which an app chooses among them.

A bundle is a zip of stored, aligned members: manifest.json, then one .tflite a variant. The
manifest's form is docs/schemas/model_bundle.schema.json; selectors/ has what reads it on a device.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.bundle.task_bundle import Member, task_bundle_bytes
from tools.documents.document import from_json
from tools.documents.model_bundle import BundledModel, Manifest, MeasuredFps, Policy, Requirements
from tools.documents.models import Tensor
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import parse_model
from tools.graph.min_runtime import min_runtime
from tools.graph.runtime_version import version_key

MANIFEST = "manifest.json"

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
            "bundle.name",
            f"{where}: {what} {name!r} is no name; give letters, digits, dots, dashes and "
            "underscores, at most 64",
        )


def _object(what: str, value: Any, known: Sequence[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("bundle.field", f"{where}: {what} is {value!r}; give an object")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise InputError(
            "bundle.field", f"{where}: {what} has no {unknown[0]}; there are {', '.join(known)}"
        )
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
            raise InputError(
                "bundle.field", f"{where}: {what}: {field} is {value!r}; give {wanted}"
            )
    if "min_runtime" in found:
        version_key(found["min_runtime"], f"{where}: {what}: min_runtime")
    return found


def _policy(given: Any, names: Sequence[str], where: str) -> dict:
    found = dict(_object("policy", given, ["choose", "fallback", "min_fps", "order"], where))
    found.setdefault("order", list(names))
    order = found["order"]
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(names):
        raise InputError(
            "bundle.policy",
            f"{where}: the policy's order is {order!r}; give each variant once: {', '.join(names)}",
        )
    minimum = found.setdefault("min_fps", 0)
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not 0 <= minimum < 1e9:
        raise InputError(
            "bundle.policy", f"{where}: the policy's min_fps is {minimum!r}; give a number from 0"
        )
    choose = found.setdefault("choose", CHOOSE[0] if minimum else CHOOSE[1])
    if choose not in CHOOSE:
        raise InputError(
            "bundle.policy",
            f"{where}: the policy's choose is {choose!r}; give {' or '.join(CHOOSE)}",
        )
    fallback = found.setdefault("fallback", order[-1])
    if fallback not in names:
        raise InputError(
            "bundle.policy",
            f"{where}: the policy's fallback is {fallback!r}; the variants are {', '.join(names)}",
        )
    return found


def _fps_of(
    document: MeasuredFps, variants: Mapping[str, str], where: str
) -> dict[str, dict[str, float]]:
    """Sorts measured figures by variant, and refuses those of other bytes."""
    result: dict[str, dict[str, float]] = {name: {} for name in variants}
    for number, figure in enumerate(document.figures):
        what, name = f"{where}: figures[{number}]", figure.variant
        if name not in variants:
            raise InputError(
                "bundle.figures",
                f"{what} is of the variant {name!r}; there are {', '.join(variants)}",
            )
        if figure.sha256 != variants[name]:
            raise InputError(
                "bundle.figures",
                f"{what} was measured on another {name} than the bundle's "
                f"({figure.sha256[:12]} and {variants[name][:12]}); measure it again",
            )
        if figure.device_class in result[name]:
            raise InputError(
                "bundle.figures", f"{what} ({name} on {figure.device_class}) is there twice"
            )
        result[name][figure.device_class] = figure.fps
    return result


def make_manifest(
    name: str,
    version: str,
    variants: Sequence[Variant],
    policy: Mapping[str, Any],
    requires: Mapping[str, Any],
    measured: MeasuredFps | None = None,
    where: str = "bundle",
    measured_where: str = "measured figures",
) -> Manifest:
    """Writes down what a bundle holds.

    Args:
      name: of the bundle.
      version: of the bundle, as the team counts them.
      variants: the best first.
      policy: "order" of the variants (the given one), "min_fps" (0), "choose"
        ("first_fast_enough" where min_fps is given, else "fastest") and "fallback" (the last).
      requires: by variant: "abis", "delegates" (one of them is enough), "api_level",
        "ram_mb", and "min_runtime" where the operators' is not to be taken.
      measured: figures of these variants, or None.
      where: how messages name the bundle.
      measured_where: how messages name the figures.

    Raises:
      InputError: says what cannot be used.
    """
    _check_name("name", name, where)
    _check_name("version", version, where)
    if not variants:
        raise InputError("bundle.empty", f"{where}: a bundle of no variants; give it some")
    names = [variant.name for variant in variants]
    for one in names:
        _check_name("variant", one, where)
    if len({one.casefold() for one in names}) < len(names):
        raise InputError(
            "bundle.name", f"{where}: two variants of one name among {', '.join(names)}"
        )
    _object("requires", requires, names, where)
    digests = {v.name: hashlib.sha256(v.content).hexdigest() for v in variants}
    fps = _fps_of(measured, digests, measured_where) if measured else {}
    entries = []
    for variant in variants:
        inside = f"{where}: variant {variant.name}"
        described = describe(variant.content, inside)
        found = _requirements(variant.name, requires.get(variant.name, {}), where)
        needed = min_runtime(parse_model(variant.content, inside))["version"]
        tensors = {
            end: tuple(from_json(Tensor, tensor, inside) for tensor in described[end])
            for end in ("inputs", "outputs")
        }
        entries.append(
            BundledModel(
                bytes=len(variant.content),
                file=f"{variant.name}.tflite",
                fps=fps.get(variant.name, {}),
                name=variant.name,
                requires=from_json(Requirements, {"min_runtime": needed or ""} | found, inside),
                scheme=variant.scheme,
                sha256=digests[variant.name],
                version=variant.version,
                **tensors,
            )
        )
    _refuse_other_shapes(entries, where)
    checked = from_json(Policy, _policy(policy, names, where), where)
    return Manifest(name, checked, tuple(entries), version)


def _refuse_other_shapes(entries: Sequence[BundledModel], where: str) -> None:
    ends = [
        ([one.shape for one in entry.inputs], [one.shape for one in entry.outputs])
        for entry in entries
    ]
    for entry, shapes in zip(entries, ends, strict=True):
        if shapes != ends[0]:
            raise InputError(
                "model.interface",
                f"{where}: {entry.name} has inputs or outputs of other shapes than "
                f"{entries[0].name}; variants stand in for each other",
            )


def model_bundle_bytes(manifest: Manifest, variants: Sequence[Variant]) -> bytes:
    """Writes a bundle.

    Args:
      manifest: from `make_manifest`, of these variants.
      variants: its models.

    Returns:
      The whole zip; the same arguments give the same bytes.
    """
    members = [Member(MANIFEST, manifest.text().encode())]
    members += [Member(f"{variant.name}.tflite", variant.content) for variant in variants]
    return task_bundle_bytes(members)
