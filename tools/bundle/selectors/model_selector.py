"""Chooses among a model bundle's variants on a device. One file, to be vendored by an app.

A variant is allowed where the device has what it requires. Of those allowed the policy
chooses: the first of its order that reaches `min_fps`, or the fastest. Frames a second are
those measured for the device's class; `probe` measures them on the device itself.

    manifest = read_manifest(zipfile.ZipFile("face.zip").read("manifest.json"))
    device = Device(abi="arm64-v8a", api_level=34, ram_mb=8192, delegates=("xnnpack",))
    choice = select(manifest, device)
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

KIND = "rules_quantize.model_bundle"
SCHEMA_VERSION = 1

FIRST_FAST_ENOUGH = "first_fast_enough"
FASTEST = "fastest"

# Below this many runs a median says nothing, whatever the time allows.
_LEAST_RUNS = 3

# A clock may stand still.
_MOST_RUNS = 1000


@dataclasses.dataclass(frozen=True)
class Device:
    """What an app knows of the device that it runs on.

    Attributes:
      abi: such as "arm64-v8a".
      api_level: Android's; 0 elsewhere, where no variant may require one.
      ram_mb: of the device, in MiB.
      delegates: that the app can use, such as "xnnpack" or "gpu".
      device_class: as the measurements call it; "" where it is none of theirs.
      runtime: version of the app's TFLite or LiteRT, such as "2.16.1"; "" where it has the
        version that every variant needs.
    """

    abi: str = ""
    api_level: int = 0
    ram_mb: int = 0
    delegates: Sequence[str] = ()
    device_class: str = ""
    runtime: str = ""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A model of the bundle.

    Attributes:
      name: such as "high".
      file: its name in the bundle.
      sha256: of the file, hexadecimal.
      size: of the file in bytes.
      abis: the device's must be one of them; empty is any.
      delegates: one of them must be on the device; empty is any.
      api_level: the least that it runs on.
      ram_mb: the least that it runs in.
      min_runtime: the least version of the runtime; "" is any.
      fps: frames a second by class of device, as measured.
    """

    name: str
    file: str
    sha256: str
    size: int
    abis: Sequence[str] = ()
    delegates: Sequence[str] = ()
    api_level: int = 0
    ram_mb: int = 0
    min_runtime: str = ""
    fps: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a bundle holds.

    Attributes:
      name: of the bundle.
      version: of the bundle.
      variants: in the policy's order, the best first.
      choose: FIRST_FAST_ENOUGH or FASTEST.
      min_fps: frames a second that are fast enough; 0 is any.
      fallback: name of the variant where nothing is known of the speed.
    """

    name: str
    version: str
    variants: Sequence[Variant]
    choose: str
    min_fps: float
    fallback: str


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
      variant: name of the variant; "" when the device may run none.
      reason: "fast_enough", "fastest", "fallback" or "none_allowed".
    """

    variant: str
    reason: str


def read_manifest(text: str | bytes) -> Manifest:
    """Reads manifest.json of a bundle.

    Raises:
      ValueError: when it is no manifest, or of a version that is not known here.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError("not the manifest of a model bundle")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version {document.get('schema_version')} is not known")
    try:
        return _manifest_of(document)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{error} is missing, or of another type") from None


def _manifest_of(document: dict) -> Manifest:
    by_name = {}
    for entry in document["variants"]:
        requires = entry["requires"]
        by_name[entry["name"]] = Variant(
            name=entry["name"],
            file=entry["file"],
            sha256=entry["sha256"],
            size=entry["bytes"],
            abis=tuple(requires["abis"]),
            delegates=tuple(requires["delegates"]),
            api_level=requires["api_level"],
            ram_mb=requires["ram_mb"],
            min_runtime=requires["min_runtime"],
            fps=dict(entry["fps"]),
        )
    policy = document["policy"]
    return Manifest(
        name=document["name"],
        version=document["version"],
        variants=tuple(by_name[name] for name in policy["order"]),
        choose=policy["choose"],
        min_fps=policy["min_fps"],
        fallback=policy["fallback"],
    )


def _version(text: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in text.split(".")]


def _is_older(one: str, other: str) -> bool:
    """Says whether a version comes before another; parts that are missing are 0."""
    first, second = _version(one), _version(other)
    length = max(len(first), len(second))
    return first + [0] * (length - len(first)) < second + [0] * (length - len(second))


def allowed(manifest: Manifest, device: Device) -> list[Variant]:
    """Gives the variants that a device may run, in the policy's order."""
    return [
        variant
        for variant in manifest.variants
        if (not variant.abis or device.abi in variant.abis)
        and (not variant.delegates or set(variant.delegates) & set(device.delegates))
        and variant.api_level <= device.api_level
        and variant.ram_mb <= device.ram_mb
        and not (device.runtime and _is_older(device.runtime, variant.min_runtime))
    ]


def choose(manifest: Manifest, variants: Sequence[Variant], fps: Mapping[str, float]) -> Choice:
    """Chooses by the policy.

    Args:
      manifest: of the bundle.
      variants: that may be chosen, in the policy's order.
      fps: frames a second by variant, of those that are known.

    Returns:
      The choice.
    """
    if not variants:
        return Choice("", "none_allowed")
    known = [variant.name for variant in variants if variant.name in fps]
    if manifest.choose == FIRST_FAST_ENOUGH:
        for name in known:
            if fps[name] >= manifest.min_fps:
                return Choice(name, "fast_enough")
    if known:
        # Of equals the first, which the policy likes better.
        return Choice(max(known, key=lambda name: fps[name]), "fastest")
    names = [variant.name for variant in variants]
    # The order ends with what runs anywhere.
    return Choice(manifest.fallback if manifest.fallback in names else names[-1], "fallback")


def select(manifest: Manifest, device: Device) -> Choice:
    """Chooses by what was measured for the device's class, without running anything."""
    variants = allowed(manifest, device)
    fps = {v.name: v.fps[device.device_class] for v in variants if device.device_class in v.fps}
    return choose(manifest, variants, fps)


def probe(
    manifest: Manifest,
    device: Device,
    run: Callable[[Variant], bool],
    milliseconds: float = 200,
    now: Callable[[], float] = lambda: time.perf_counter() * 1000,
) -> tuple[Choice, dict[str, float]]:
    """Runs every allowed variant for a while, and chooses by what that takes.

    To be done once, at the first start; keep the choice with the bundle's version.

    Args:
      manifest: of the bundle.
      device: that this runs on.
      run: runs a variant once, as the app will; False when it cannot be run. The first
        call of a variant is not measured: the app loads the model in it.
      milliseconds: for each variant; at least three runs are measured all the same,
        and at most a thousand.
      now: a clock in milliseconds.

    Returns:
      The choice, and frames a second by variant, from the median of its runs.
    """
    variants = allowed(manifest, device)
    fps: dict[str, float] = {}
    for variant in variants:
        runs = run(variant)
        times: list[float] = []
        begin = now()
        while (
            runs
            and len(times) < _MOST_RUNS
            and (len(times) < _LEAST_RUNS or now() - begin < milliseconds)
        ):
            start = now()
            runs = run(variant)
            times.append(now() - start)
        if runs:
            # A run shorter than the clock's step is as fast as can be told.
            fps[variant.name] = 1000 / max(statistics.median(times), 1e-3)
    runnable = [variant for variant in variants if variant.name in fps]
    return choose(manifest, runnable, fps), fps
