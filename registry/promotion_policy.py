"""What a version must have shown before an alias may point at it.

The policy is a TOML file beside the models; docs/how-to/registry.md describes it.
"""

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.catalog import Measurement, Version
from registry.change import SPEEDUP, is_regression
from registry.formatting import number
from registry.metrics import (
    MODEL_METRICS,
    OUTPUT_METRICS,
    TASK_METRICS,
    definition,
    full_names,
    is_on_device,
)
from registry.tags import MIN_RUNTIME_TAG, SIMILARITY, SPEED, UNKNOWN_OPERATORS_TAG
from tools.documents.metrics import LOWER, Metric
from tools.documents.promotion import Check
from tools.errors import InputError
from tools.graph.runtime_version import version_key

_KEYS = (
    "required_devices",
    "notify",
    "max_size_bytes",
    "oldest_runtime",
    "tolerances",
    "max_regression",
)


@dataclasses.dataclass(frozen=True)
class AliasPolicy:
    """The conditions of one alias.

    Attributes:
      required_devices: devices on which all gates must have passed, to what must have been
        measured there: SIMILARITY, SPEED or both. None is similarity, and speed unless the
        device's answers were judged without one.
      notify: command for the shell that is told of each move, or None.
      max_size_bytes: largest artifact, or None.
      oldest_runtime: TensorFlow Lite that must have all operators, such as "2.14.0",
        or None.
      tolerances: (least, most) by metric; either may be None. A metric without
        a slash stands for that of every output and task ("cosine_mean" for
        "cosine_mean/scores", "iou_mean" for "task/mask/iou_mean").
      max_regression: by metric, by what share it may be worse than that of the
        version that holds the alias.
    """

    required_devices: Mapping[str, tuple[str, ...] | None] = dataclasses.field(default_factory=dict)
    notify: str | None = None
    max_size_bytes: int | None = None
    oldest_runtime: str | None = None
    tolerances: Mapping[str, tuple[float | None, float | None]] = dataclasses.field(
        default_factory=dict
    )
    max_regression: Mapping[str, float] = dataclasses.field(default_factory=dict)


def read_policy(path: Path, model: str, alias: str) -> AliasPolicy:
    """Reads the conditions for an alias of a model.

    Args:
      path: the policy file.
      model: name of the registered model; what `[models.NAME.aliases.ALIAS]`
        says takes the place of what `[aliases.ALIAS]` says, key by key.
      alias: name of the alias.

    Returns:
      The conditions.

    Raises:
      InputError: the file is missing, no policy, or does not know the alias.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "policy.missing",
            f"{path}: no promotion policy; write one (docs/how-to/registry.md says how), "
            "or name it by --policy=",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("document.syntax", f"{path}: not TOML ({error})") from None
    _check_keys(document, ("aliases", "models"), path, "")
    general = _table(document, "aliases", path, "")
    of_models = _table(document, "models", path, "")
    of_model = _table(of_models, model, path, "models.")
    _check_keys(of_model, ("aliases",), path, f"models.{model}.")
    own = _table(of_model, "aliases", path, f"models.{model}.")
    if alias not in general and alias not in own:
        known = ", ".join(sorted({*general, *own})) or "none"
        raise InputError(
            "policy.alias", f"{path}: no alias {alias!r} for {model} (it has: {known})"
        )
    merged = {
        **_table(general, alias, path, "aliases."),
        **_table(own, alias, path, f"models.{model}.aliases."),
    }
    return _alias_policy(merged, path, f"alias {alias} of {model}: ")


def judge(policy: AliasPolicy, candidate: Version, holder: Version | None) -> list[Check]:
    """Holds a version to the conditions of an alias.

    Args:
      policy: from `read_policy`.
      candidate: the version that is to be promoted, with its measurements.
      holder: the one that holds the alias now, or None.

    Returns:
      Every condition, whether it is met or not.
    """
    checks = _check_gates(policy, candidate)
    size = candidate.metrics.get("size_bytes")
    if policy.max_size_bytes is not None:
        checks.append(
            Check(
                what="size_bytes",
                device="",
                holder=holder.metrics.get("size_bytes") if holder else None,
                candidate=size,
                condition=f"at most {policy.max_size_bytes:,}",
                passed=size is not None and size <= policy.max_size_bytes,
            )
        )
    if policy.oldest_runtime is not None:
        checks.append(_check_runtime(policy.oldest_runtime, candidate, holder))
    for metric, (least, most) in policy.tolerances.items():
        checks += _check_tolerance(policy, candidate, holder, metric, least, most)
    if holder is not None and holder.number != candidate.number:
        for metric, share in policy.max_regression.items():
            checks += _check_regression(policy, candidate, holder, metric, share)
    return checks


def _check_gates(policy: AliasPolicy, candidate: Version) -> list[Check]:
    checks = []
    # What failed without a device, such as similarity, holds on all of them.
    nowhere = candidate.measurements.get("")
    devices = list(policy.required_devices)
    if nowhere is not None and (nowhere.gates == "failed" or not devices):
        devices.insert(0, "")
    elif not devices:
        devices = sorted(candidate.measurements)
    for device in devices:
        measured = candidate.measurements.get(device)
        wanted: tuple[str, ...] = ()
        if device in policy.required_devices:
            wanted = _wanted(policy, device, measured)
        missing = [what for what in wanted if not measured or what not in measured.measured]
        gates = measured.gates if measured else "not measured"
        if measured and measured.failure:
            gates = f"failed: {measured.failure}"
        elif missing and gates != "failed":
            gates = f"{' and '.join(missing)} not measured"
        checks.append(
            Check(
                what="gates",
                device=device,
                holder=None,
                candidate=gates,
                condition=" with ".join(["passed", *filter(None, [" and ".join(wanted)])]),
                passed=gates == "passed",
            )
        )
    if not checks:
        checks.append(Check("gates", "", None, "not checked", "passed", False))
    return checks


def _wanted(policy: AliasPolicy, device: str, measured: Measurement | None) -> tuple[str, ...]:
    """Gives what must have been measured on a required device."""
    said = policy.required_devices[device]
    if said:
        return said
    if measured and measured.taken and SPEED not in measured.measured:
        # A processor computes in place of a GPU: its speed means nothing.
        return (SIMILARITY,)
    return (SIMILARITY, SPEED)


def unmet_lines(checks: Sequence[Check]) -> list[str]:
    """Says of each condition that is not met what was found and what is asked for."""
    lines = []
    for check in checks:
        if check.passed:
            continue
        found = number(check.candidate) if check.candidate is not None else "not measured"
        on = f"{check.device}: " if check.device else ""
        if check.what == "gates":
            lines.append(f"{on or 'gates '}{found}")
        else:
            lines.append(f"{on}{check.what} {found}, asked for: {check.condition}")
    return lines


def _check_runtime(oldest: str, candidate: Version, holder: Version | None) -> Check:
    needed = candidate.tags.get(MIN_RUNTIME_TAG)
    unknown = candidate.tags.get(UNKNOWN_OPERATORS_TAG)
    return Check(
        what=MIN_RUNTIME_TAG,
        device="",
        holder=holder.tags.get(MIN_RUNTIME_TAG) if holder else None,
        candidate=f"unknown for {unknown}" if unknown else needed,
        condition=f"{oldest} or older",
        passed=needed is not None and not unknown and version_key(needed) <= version_key(oldest),
    )


def _check_tolerance(policy, candidate, holder, metric, least, most) -> list[Check]:
    words = []
    if least is not None:
        words.append(f"at least {least:g}")
    if most is not None:
        words.append(f"at most {most:g}")
    checks = []
    for device, name in _named(policy, candidate, metric):
        value = candidate.value_on(device, name)
        inside = value is not None and not (
            (least is not None and value < least) or (most is not None and value > most)
        )
        before = holder.value_on(device, name) if holder else None
        checks.append(Check(name, device, before, value, ", ".join(words), inside))
    return checks


def _check_regression(policy, candidate, holder, metric, share) -> list[Check]:
    checks = []
    for device, name in _named(policy, candidate, metric):
        value, before = candidate.value_on(device, name), holder.value_on(device, name)
        if before is None:
            # The holder was never measured so: there is nothing to be worse than.
            checks.append(Check(name, device, None, value, "not comparable", value is not None))
            continue
        known = definition(name)
        assert known is not None, "the policy was read, so its metrics are known"
        figures = holder.metrics_on(device), candidate.metrics_on(device)
        passed = value is not None and not is_regression(name, *figures, share)
        condition = f"at most {share:.3g} of it {'above' if known.better == LOWER else 'below'}"
        checks.append(Check(name, device, before, value, condition, passed))
    return checks


def _named(policy: AliasPolicy, candidate: Version, metric: str) -> list[tuple[str, str]]:
    """Gives the devices and full names that a metric in a policy stands for."""
    names = full_names(metric, candidate.metrics)
    if is_on_device(metric):
        devices = [
            device
            for device in policy.required_devices
            if SPEED in _wanted(policy, device, candidate.measurements.get(device))
        ]
        if not policy.required_devices:
            devices = sorted(candidate.measurements)
        return [(device, name) for device in devices for name in names]
    judged = {measured.device for measured in candidate.judged_on()}
    # What is of an output or a task is of answers, which devices have of their own.
    own = [device for device in policy.required_devices if device in judged]
    return [(device, name) for name in names for device in ["", *(own if "/" in name else [])]]


def _alias_policy(table: Mapping[str, Any], path: Path, where: str) -> AliasPolicy:
    _check_keys(table, _KEYS, path, where)
    notify = table.get("notify")
    if notify is not None and not (isinstance(notify, str) and notify.strip()):
        raise InputError("policy.field", f"{path}: {where}notify: a command is wanted, as text")
    size = table.get("max_size_bytes")
    if size is not None and not (_is_number(size) and size > 0):
        raise InputError(
            "policy.field", f"{path}: {where}max_size_bytes: a number of bytes is wanted"
        )
    oldest = table.get("oldest_runtime")
    if oldest is not None:
        version_key(oldest, f"{path}: {where}oldest_runtime")
    tolerances = {}
    for metric, bounds in _table(table, "tolerances", path, where).items():
        at = f"{where}tolerances.{metric}: "
        _known_metric(metric, path, at)
        if not isinstance(bounds, dict) or not bounds:
            raise InputError(
                "policy.field",
                f"{path}: {at}{{ min = NUMBER, max = NUMBER }} or one of them is wanted",
            )
        _check_keys(bounds, ("min", "max"), path, at)
        if not all(_is_number(bound) for bound in bounds.values()):
            raise InputError("policy.field", f"{path}: {at}numbers are wanted")
        tolerances[metric] = (bounds.get("min"), bounds.get("max"))
    regressions = _table(table, "max_regression", path, where)
    for metric, share in regressions.items():
        at = f"{where}max_regression.{metric}: "
        if _known_metric(metric, path, at).better is None:
            raise InputError(
                "policy.field",
                f"{path}: {at}neither more nor less of it is better; bound it in tolerances",
            )
        if is_on_device(metric) and metric != SPEEDUP:
            raise InputError(
                "policy.field",
                f"{path}: {at}two versions are measured in two sessions, which differ by "
                "themselves; name speedup, or bound it in tolerances",
            )
        if not (_is_number(share) and share >= 0):
            raise InputError("policy.field", f"{path}: {at}a share is wanted, such as 0.05")
    return AliasPolicy(
        required_devices=_required_devices(table, path, where),
        notify=notify,
        max_size_bytes=size,
        oldest_runtime=oldest,
        tolerances=tolerances,
        max_regression=dict(regressions),
    )


def _required_devices(
    table: Mapping[str, Any], path: Path, where: str
) -> dict[str, tuple[str, ...] | None]:
    at = f"{path}: {where}required_devices"
    devices = table.get("required_devices", [])
    if isinstance(devices, list) and all(isinstance(name, str) for name in devices):
        return dict.fromkeys(devices)
    if not isinstance(devices, dict):
        raise InputError(
            "policy.field",
            f'{at}: a list of names is wanted, or a table such as {{ pixel7 = ["{SPEED}"] }}',
        )
    for name, wanted in devices.items():
        if not isinstance(wanted, list) or not wanted or not set(wanted) <= {SIMILARITY, SPEED}:
            raise InputError(
                "policy.field",
                f'{at}.{name}: a list is wanted of "{SIMILARITY}", "{SPEED}" or both',
            )
    return {name: tuple(wanted) for name, wanted in devices.items()}


def _known_metric(metric: str, path: Path, at: str) -> Metric:
    found = definition(metric)
    if found is not None:
        return found
    last = metric.rpartition("/")[2]
    if last in TASK_METRICS:
        wanted = f"the {last} of every task is {last!r}, that of one 'task/NAME/{last}'"
    else:
        known = sorted({*MODEL_METRICS, *OUTPUT_METRICS, *TASK_METRICS})
        near = difflib.get_close_matches(metric.partition("/")[0], known, 3)
        wanted = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "docs/reference/registry.md has them all"
        )
    raise InputError("policy.field", f"{path}: {at}no such metric; {wanted}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _table(table: Mapping[str, Any], key: str, path: Path, where: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise InputError("policy.field", f"{path}: {where}{key}: a table is wanted")
    return value


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], path: Path, where: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(
                "policy.field", f"{path}: {where}unknown key {key!r}; known are {', '.join(known)}"
            )
