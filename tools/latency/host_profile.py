"""Times each operator of a model on this host, with the profiler of the LiteRT runtime.

ai-edge-litert's Python has no profiler, its C library has one: LiteRtCompiledModelGetProfiler
(litert/c/litert_profiler.h). It gives an event for every operator that the runtime runs by
itself and for every operator inside a delegate, as XNNPACK names and fuses them, in whole
microseconds. The runtime is another than the Interpreter that rounds are measured with; both
have the same XNNPACK.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import InputError
from tools.graph.child_process import in_child
from tools.graph.flatbuffer import parse_model, tensor_name

_WARM_UP_RUNS = 5
_RUNS = 30

_CPU = 1
_LOCK_TO_WRITE = 1
# Of a LiteRtRankedTensorType, and more than any version of it has.
_TENSOR_TYPE_BYTES = 512

# LiteRtProfilerEventType.
_OPERATOR, _INSIDE_A_DELEGATE, _DELEGATE_AND_OPERATOR = 2, 4, 8

_Handle = ctypes.c_void_p
_Destructor = ctypes.CFUNCTYPE(None, _Handle)


class _Event(ctypes.Structure):
    """ProfiledEventData of litert/c/litert_profiler_event.h."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("node", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class _CompiledModel:
    """A model in the LiteRT runtime. It is never freed: its process ends soon."""

    def __init__(self, content: bytes, threads: int):
        import ai_edge_litert

        folder = Path(ai_edge_litert.__file__).parent
        self._library = ctypes.CDLL(str(folder / "libLiteRt.so"))
        self._kept: list[Any] = [ctypes.create_string_buffer(content, len(content))]
        self._environment = self._made("CreateEnvironment", 0, None)
        size = ctypes.c_size_t(len(content))
        model = self._made("CreateModelFromBuffer", self._environment, self._kept[0], size)
        options = self._made("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, _CPU)
        self._add_options(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add_options(options, b"xnnpack", b"num_threads = %d\n" % threads)
        self._compiled = self._made("CreateCompiledModel", self._environment, model, options)
        self._profiler = self._made("CompiledModelGetProfiler", self._compiled)
        signature = self._made("GetModelSignature", model, ctypes.c_size_t(0))
        self._inputs = self._buffers(signature, "Input")
        self._outputs = self._buffers(signature, "Output")
        for buffer in map(_Handle, self._inputs):
            size = ctypes.c_size_t()
            self._call("GetTensorBufferPackedSize", buffer, ctypes.byref(size))
            address = _Handle()
            self._call("LockTensorBuffer", buffer, ctypes.byref(address), _LOCK_TO_WRITE)
            ctypes.memset(address, 0, size.value)
            self._call("UnlockTensorBuffer", buffer)

    def _call(self, name: str, *arguments) -> None:
        status = getattr(self._library, "LiteRt" + name)(*arguments)
        if status:
            raise RuntimeError(f"LiteRt{name} gave {status}")

    def _made(self, name: str, *arguments) -> _Handle:
        made = _Handle()
        self._call(name, *arguments, ctypes.byref(made))
        return made

    def _add_options(self, options: _Handle, kind: bytes, text: bytes) -> None:
        payload, nothing = ctypes.create_string_buffer(text), _Destructor(lambda _: None)
        self._kept += [payload, nothing]
        some = self._made("CreateOpaqueOptions", kind, ctypes.cast(payload, _Handle), nothing)
        self._call("AddOpaqueOptions", options, some)

    def _buffers(self, signature: _Handle, side: str):
        count = ctypes.c_size_t()
        self._call(f"GetNumSignature{side}s", signature, ctypes.byref(count))
        found = []
        for number in map(ctypes.c_size_t, range(count.value)):
            tensor = self._made(f"GetSignature{side}TensorByIndex", signature, number)
            kind = (ctypes.c_byte * _TENSOR_TYPE_BYTES)()
            self._call("GetRankedTensorType", tensor, ctypes.byref(kind))
            needs = self._made(
                f"GetCompiledModel{side}BufferRequirements",
                self._compiled,
                ctypes.c_size_t(0),
                number,
            )
            found.append(
                self._made(
                    "CreateManagedTensorBufferFromRequirements",
                    self._environment,
                    ctypes.byref(kind),
                    needs,
                )
            )
        return (_Handle * len(found))(*found)

    def _run(self) -> None:
        self._call(
            "RunCompiledModel",
            self._compiled,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(self._inputs)),
            self._inputs,
            ctypes.c_size_t(len(self._outputs)),
            self._outputs,
        )

    def events(self) -> list[list[tuple[str, bool, int, int]]]:
        """Runs the model; (name, whether in a delegate, node, microseconds) for each run."""
        for _ in range(_WARM_UP_RUNS):
            self._run()
        found = []
        for _ in range(_RUNS):
            # This forgets the events of the run before.
            self._call("StartProfiler", self._profiler)
            self._run()
            self._call("StopProfiler", self._profiler)
            count = ctypes.c_int()
            self._call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
            events = (_Event * count.value)()
            self._call("GetProfilerEvents", self._profiler, count, events)
            inside = (_INSIDE_A_DELEGATE, _DELEGATE_AND_OPERATOR)
            found.append(
                [
                    (one.tag.decode(), one.type in inside, one.node, one.elapsed_us)
                    for one in events
                    if one.type == _OPERATOR or one.type in inside
                ]
            )
        return found


def host_operator_times(content: bytes, where: str, threads: int) -> list[dict]:
    """Times each operator, in a process of its own, on inputs of zeros.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      threads: of the runtime.

    Returns:
      As tools.latency.operator_profile.read_operator_profile; an operator's time is the
      median over runs.

    Raises:
      InputError: when this build of the runtime gives no profile of it.
    """

    try:
        runs = in_child(lambda _: _CompiledModel(content, threads).events())
        reason = "" if runs[0] and len({len(run) for run in runs}) == 1 else "its runs differ"
    except RuntimeError as error:
        reason = str(error)
    if reason:
        raise InputError(
            "model.runtime", f"{where}: the runtime gives no profile of this model: {reason}"
        )
    subgraph = parse_model(content, where).schema.subgraphs[0]
    medians = np.median([[one[3] for one in run] for run in runs], axis=0)
    found = []
    for (kind, delegated, node, _), median in zip(runs[0], medians, strict=True):
        name = ""
        # A node beyond those of the file is a delegate's, whose operators come by themselves.
        if not delegated and node < len(subgraph.operators):
            name = tensor_name(subgraph.tensors[subgraph.operators[node].outputs[0]])
        elif not delegated:
            continue
        found.append({"delegated": delegated, "kind": kind, "ms": median / 1000, "name": name})
    return found
