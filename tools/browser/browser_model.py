"""A model in the machine's Chromium, run by LiteRT.js.

The accelerator "wasm" is XNNPACK in WebAssembly. "gpu" is LiteRT's GPU delegate by WebGPU, with
SwiftShader in place of a GPU: the delegate's own kernels and answers, at a speed that means
nothing.
"""

import contextlib
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tools.browser.chromium import Browser, find_chromium, open_page
from tools.browser.page_server import PageServer
from tools.documents.device_verdict import DeviceSpeed
from tools.errors import DeviceFailedError, InputError
from tools.graph.description import describe
from tools.graph.runtime import open_interpreter, values_read, values_to_set

# As LiteRT.js names them.
ACCELERATORS = {"gpu": "webgpu", "wasm": "wasm"}
# What a page may take for one thing; SwiftShader takes seconds for a run of a large model.
_SECONDS = 300
_ARTIFACT, _FLOAT_MASTER = "artifact", "float_master"
# What the runtime prints at other times as well, and the clock in a line about a fault.
_LOG = re.compile(r"\s*(INFO|WARNING|VERBOSE|[IW]\d{4} )")
_TIME = re.compile(r"^F\d{4} [\d:.]+ +\d+ ")
_DOING = {
    "browser": "started LiteRT.js",
    "loaded": "loaded the model",
    "ran": "ran the model",
    "timed": "measured",
}


class _Page:
    """A page that does one thing after the other."""

    def __init__(self, server: PageServer, browser: Browser, where: str, seconds: float):
        self.server = server
        self.where = where
        self._browser = browser
        self._seconds = seconds

    def do(self, work: str, **more: Any) -> dict[str, Any]:
        """Waits until work is done.

        Returns:
          What the page said: {"done": ...} or {"refusal": [words of the runtime]}.

        Raises:
          DeviceFailedError: when the browser ends, or says nothing for long.
        """
        self.server.ask(work, **more)
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            event = self.server.next_event(0.2)
            if event and "gone" not in event:
                return event
            if event or not self._browser.is_running():
                last = self._browser.last_words()
                raise DeviceFailedError(
                    "device.gone",
                    f"{self.where}: the browser ended while it {_DOING[work]}"
                    f"{f' ({last})' if last else ''}; see that it starts by itself, and that the "
                    "machine has memory enough",
                )
        raise DeviceFailedError(
            "device.timeout",
            f"{self.where}: the browser came to no end in {self._seconds:g} s while it "
            f"{_DOING[work]}; try again when the machine has less to do",
        )

    def done(self, work: str, **more: Any) -> dict[str, Any]:
        """Waits until work is done, which cannot be refused.

        Raises:
          DeviceFailedError: when it is all the same.
        """
        said = self.do(work, **more)
        if "refusal" in said:
            raise DeviceFailedError(
                "device.failed",
                f"{self.where}: LiteRT.js failed while it {_DOING[work]}: {_line(said['refusal'])}",
            )
        return said["done"]


def _line(words: list[str]) -> str:
    """Joins in one line what the runtime said of a fault: neither its log, nor anything twice."""
    said = (" ".join(_TIME.sub("", word).split()) for word in words if not _LOG.match(word))
    return "; ".join(dict.fromkeys(said))


class ModelFailedError(InputError):
    """A model gives no answers in the browser: it is refused, or its outputs are no numbers."""


class BrowserModel:
    """A model that takes and gives float32, as `tools.similarity.model_outputs.RunModel`.

    Attributes:
      where: how messages name it.
      inputs: signature names, in the model's order.
      outputs: signature names, in the model's order.
      shapes: of the outputs.
      input_shapes: of the inputs.
      adapter: what computes behind WebGPU, as the browser names it; "" without.
      browser: its name and version.
      whole: whether the accelerator takes all operators.
      refusal: why the runtime does not take the model, in its own words; "" where it does.
      fault: why there are no answers: the refusal, or what is wrong with an output; "" where
        there are.
      milliseconds: of each run, reading of the outputs included.
    """

    def __init__(self, content: bytes, page: _Page, accelerator: str):
        """Loads a model in a page; `open_in_browser` does that."""
        self.where = page.where
        described = describe(content, self.where)
        self.inputs = [entry["name"] for entry in described["inputs"]]
        self.outputs = [entry["name"] for entry in described["outputs"]]
        self.input_shapes = [tuple(entry["shape"]) for entry in described["inputs"]]
        self.shapes = [tuple(entry["shape"]) for entry in described["outputs"]]
        interpreter = open_interpreter(content, self.where)
        self._input_details = interpreter.get_input_details()
        self._output_details = interpreter.get_output_details()
        self._page, self._accelerator = page, ACCELERATORS[accelerator]
        started = page.done("browser", accelerator=self._accelerator)
        self.adapter: str = started["adapter"]
        self.browser: str = started["browser"]
        page.server.models[_ARTIFACT] = content
        said = page.do("loaded", model=_ARTIFACT, accelerator=self._accelerator)
        self.refusal = self.fault = _line(said.get("refusal", []))
        self.whole = not self.refusal and bool(said["done"]["whole"])
        self.milliseconds: list[float] = []
        self._sample: Mapping[str, np.ndarray] = {}

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs one sample.

        Args:
          sample: input name to float32 array of the input's shape.

        Returns:
          float32 arrays in the order of `outputs`.

        Raises:
          ModelFailedError: when the runtime refuses the model, now or as it was loaded, or when
            an output holds NaN or infinite values.
          InputError: when it gives other outputs than the model has.
          DeviceFailedError: when the browser fails.
        """
        if self.refusal:
            raise self._refused()
        server = self._page.server
        self._sample = sample
        server.inputs[_ARTIFACT] = {
            name: values_to_set(details, sample[name])
            for name, details in zip(self.inputs, self._input_details, strict=True)
        }
        server.outputs.clear()
        said = self._page.do("ran", model=_ARTIFACT)
        if "refusal" in said:
            self.refusal = self.fault = _line(said["refusal"])
            self.whole = False
            raise self._refused()
        self.milliseconds.append(said["done"]["ms"])
        return [
            values_read(details, self._output(name, details)).astype(np.float32, copy=False)
            for name, details in zip(self.outputs, self._output_details, strict=True)
        ]

    def _refused(self) -> ModelFailedError:
        return ModelFailedError(
            "model.runtime", f"{self.where}: LiteRT.js refuses the model: {self.refusal}"
        )

    def _output(self, name: str, details: Mapping[str, Any]) -> np.ndarray:
        """Reads an output of the last run."""
        given = self._page.server.outputs
        if name not in given:
            raise InputError(
                "model.runtime",
                f"{self.where}: LiteRT.js gives no output {name}, but {', '.join(sorted(given))}",
            )
        values = np.frombuffer(given[name], details["dtype"])
        if values.size != np.prod(details["shape"]):
            self.fault = f"the output {name} has {values.size} values, and not the model's shape"
        elif not np.isfinite(values).all():
            self.fault = f"the output {name} is NaN or infinite"
        if self.fault:
            raise ModelFailedError("model.value", f"{self.where}: {self.fault}")
        return values.reshape(details["shape"])

    def measure(
        self,
        float_master: bytes,
        names: Mapping[str, str],
        rounds: int = 11,
        seconds: float = 0.1,
    ) -> DeviceSpeed:
        """Measures the model and its float master in turns, on the sample that ran last.

        Args:
          float_master: a whole .tflite file.
          names: an input name of the model to the float master's.
          rounds: how many, each of both models, after one that is not counted.
          seconds: that each model runs in a round; it runs at least once.

        Raises:
          DeviceFailedError: when the browser fails, or refuses the float master.
        """
        server = self._page.server
        server.models[_FLOAT_MASTER] = float_master
        server.inputs[_FLOAT_MASTER] = {
            name: self._sample[theirs].astype(np.float32) for theirs, name in names.items()
        }
        self._page.done("loaded", model=_FLOAT_MASTER, accelerator=self._accelerator)
        medians = self._page.done("timed", rounds=rounds, seconds=seconds)["medians"]
        ours, master = medians[_ARTIFACT], medians[_FLOAT_MASTER]
        ratios = (theirs / own for own, theirs in zip(ours, master, strict=True))
        return DeviceSpeed(
            artifact_ms=round(statistics.median(ours), 4),
            float_master_ms=round(statistics.median(master), 4),
            speedup=round(statistics.median(ratios), 4),
        )


@contextlib.contextmanager
def open_in_browser(
    content: bytes,
    where: str,
    accelerator: str,
    packages: Path,
    chromium: str = "",
    seconds: float = _SECONDS,
) -> Iterator[BrowserModel]:
    """Opens a model in the browser for as long as a `with` block runs.

    Args:
      content: a whole .tflite file.
      where: how messages name it.
      accelerator: one of ACCELERATORS.
      packages: folder with the npm packages @litertjs/core and @litertjs/wasm-utils, as "core"
        and "wasm-utils".
      chromium: path or name of the browser; "" for the machine's.
      seconds: after which a browser that says nothing has failed.

    Yields:
      The model, which the runtime may have refused.

    Raises:
      InputError: when the model cannot be read.
      NoDeviceError: when the machine has no browser.
      DeviceFailedError: when the browser fails.
    """
    program = find_chromium(chromium)
    with (
        PageServer(packages) as server,
        open_page(server.address, program, accelerator == "gpu") as browser,
    ):
        yield BrowserModel(content, _Page(server, browser, where, seconds), accelerator)
