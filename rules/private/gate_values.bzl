"""How quality_gates and speed_gates read what they are given."""

load(":near_names.bzl", "near_names")

QUALITY = attr.string_dict(
    mandatory = True,
    doc = "Thresholds as JSON by gate, from quality_gates.",
)

def gates_text(quality):
    """Writes the file of gates that tools read.

    Args:
      quality: from quality_gates.

    Returns:
      JSON: an object of thresholds by gate.
    """
    gates = ["{}: {}".format(json.encode(gate), quality[gate]) for gate in sorted(quality)]
    return "{" + ", ".join(gates) + "}\n"

def _is_version(value):
    parts = value.split(".")
    return len(parts) in [2, 3] and not [part for part in parts if not part.isdigit()]

def _permits(gate, value):
    """Says whether a threshold means something; as tools/gate_definition.py."""
    kind = gate["kind"]
    if kind == "switch":
        return type(value) == "bool"
    if kind == "version":
        return type(value) == "string" and _is_version(value)
    if type(value) != "int" and (kind == "count" or type(value) != "float"):
        return False

    # Bazel says of no number that it is finite, and that nan is larger than all others.
    if str(value) in ["nan", "inf", "+inf", "-inf"]:
        return False
    least, most = gate.get("least"), gate.get("most")
    if least != None and (value < least or (value == least and gate.get("above_least"))):
        return False
    return most == None or value <= most

def _check(gate, value, where):
    if not _permits(gate, value):
        fail("{} = {}; give {}".format(where, repr(value), gate["wanted"]))

def _check_by_name(gate, threshold, where):
    if type(threshold) != "dict":
        _check(gate, threshold, where)
        return
    for name, value in threshold.items():
        if value != None:
            _check(gate, value, "{} of {}".format(where, name))

def _check_changes(gate, threshold, where):
    of_all = gate.get("of_all_metrics")
    if of_all and type(threshold) != "dict":
        _check(gate, threshold, where)
        return
    if type(threshold) != "dict":
        fail("{} = {}; give a dict of thresholds by metric".format(where, repr(threshold)))
    for metric, value in threshold.items():
        if metric not in gate["metrics"] and not (of_all and metric == "*"):
            fail("{}: no metric {}; {}".format(where, metric, near_names(metric, gate["metrics"])))
        if of_all and value == None:
            continue
        _check_by_name(gate, value, "{} of {}".format(where, metric))

def _groups_of(gate, name):
    return " or ".join(["{} = {{\"{}\": ...}}".format(task, name) for task in gate.get("tasks", [])])

def _refuse(function, gates, name):
    if gates.get(name, {}).get("tasks"):
        fail("{}: {} is a gate of tasks; write {}".format(
            function,
            name,
            _groups_of(gates[name], name),
        ))
    fail("{}: no gate {}; {}".format(function, name, near_names(name, gates.keys())))

def _threshold_of_task(gates, function, task, name, threshold, found):
    """Adds what is said of a gate in the dict of a type of tasks."""
    where = "{}: {}".format(function, task)
    if name not in gates:
        of_task = [one for one in gates if task in gates[one].get("tasks", [])]
        fail("{}: no gate {}; {}".format(where, name, near_names(name, of_task)))
    gate = gates[name]
    if task not in gate.get("tasks", []):
        other = _groups_of(gate, name) or "it beside {}".format(task)
        fail("{}: {} is no gate of such tasks; write {}".format(where, name, other))
    _check_by_name(gate, threshold, "{}: {}".format(where, name))
    by_name = threshold if type(threshold) == "dict" else {"*": threshold}
    for one, value in by_name.items():
        if value != None:
            found.setdefault(name, {})[task if one == "*" else one] = value

def quality_thresholds(function, gates, thresholds, tasks, unknown):
    """Checks the gates on size and similarity.

    Args:
      function: that was called, for messages.
      gates: dict of what is known of each gate.
      thresholds: dict of what is given for the gates of the model and its outputs.
      tasks: dict of what is given for the gates of tasks, by the tasks' type.
      unknown: dict of what was given by any other name.

    Returns:
      Dict from a gate's name to its threshold as JSON: what `quantized_model(quality = ...)`
      takes. The threshold of a task is a dict by its name or its type.
    """
    for name in unknown:
        _refuse(function, gates, name)
    found = {}
    for name, threshold in thresholds.items():
        gate, where = gates[name], "{}: {}".format(function, name)
        if threshold == None and "default" in gate:
            # Tools would take the default where nothing is said.
            found[name] = None
            continue
        if threshold == {} and "metrics" not in gate:
            fail("{} is empty; give a threshold, or None to switch the gate off".format(where))
        if threshold in [None, False, {}]:
            continue
        if "metrics" in gate:
            _check_changes(gate, threshold, where)
        elif gate.get("by_name"):
            _check_by_name(gate, threshold, where)
        else:
            _check(gate, threshold, where)
        found[name] = threshold
    for task, of_task in tasks.items():
        if type(of_task) != "dict":
            fail("{}: {} = {}; give a dict of thresholds by gate".format(
                function,
                task,
                repr(of_task),
            ))
        for name, threshold in of_task.items():
            if threshold != None:
                _threshold_of_task(gates, function, task, name, threshold, found)
    return {name: json.encode(threshold) for name, threshold in found.items()}

def _devices(function, gate, min_fps):
    """Reads inferences a second by device; the host's under "host"."""
    where = "{}: min_fps".format(function)
    if type(min_fps) != "dict":
        fail("{} = {}; give a dict by device, such as {{\":host\": 200}}".format(
            where,
            repr(min_fps),
        ))
    devices = {}
    for device, fps in min_fps.items():
        if device not in ["host", ":host"] and ":" not in device:
            fail("{} names the device {}; give \":host\", or a latency_device's label".format(
                where,
                device,
            ))
        _check(gate, fps, "{} of {}".format(where, device))
        devices["host" if device == ":host" else device] = str(fps)
    return devices

def speed_thresholds(function, gates, min_fps, thresholds, unknown, **measuring):
    """Checks the gates on speed.

    Args:
      function: that was called, for messages.
      gates: dict of what is known of each gate.
      min_fps: inferences a second by device.
      thresholds: dict of what is given for the other gates.
      unknown: dict of what was given by any other name.
      **measuring: fields of the result that are handed on: how it is measured.

    Returns:
      A struct for `quantized_model(speed = ...)`: `min_fps` by device and `gates` by name,
      numbers as text.
    """
    for name in unknown:
        _refuse(function, gates, name)
    found = {}
    for name, threshold in thresholds.items():
        if threshold != None:
            _check(gates[name], threshold, "{}: {}".format(function, name))
            found[name] = str(threshold)
    return struct(
        gates = found,
        min_fps = _devices(function, gates["min_fps"], min_fps),
        **measuring
    )
