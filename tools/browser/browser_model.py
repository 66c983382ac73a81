"""A model in the machine's Chromium, run by LiteRT.js.

The accelerator "wasm" is XNNPACK in WebAssembly. "gpu" is LiteRT's GPU delegate by WebGPU, with
SwiftShader in place of a GPU: the delegate's own kernels and answers, at a speed that means
nothing.
"""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tools.browser.chromium import Browser, find_chromium, open_page
from tools.browser.packages import litertjs_version
from tools.browser.page_server import PageServer
from tools.devices.device_model import ROUNDS, SECONDS_A_ROUND, DeviceModel, speed_of
from tools.documents.device_verdict import Device, DeviceSpeed
from tools.errors import DeviceFailedError

Accelerator = Literal["gpu", "wasm"]
# As LiteRT.js names them.
ACCELERATORS: dict[Accelerator, str] = {"gpu": "webgpu", "wasm": "wasm"}
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


class BrowserModel(DeviceModel):
    """A model in a page.

    Attributes:
      adapter: what computes behind WebGPU, as the browser names it; "" without.
      browser: its name and version.
      milliseconds: of each run, reading of the outputs included.
    """

    def __init__(self, content: bytes, page: _Page, accelerator: Accelerator, runtime: str):
        """Loads a model in a page; `open_in_browser` does that."""
        super().__init__(content, page.where)
        self._page, self._accelerator, self._runtime = page, accelerator, runtime
        started = page.done("browser", accelerator=ACCELERATORS[accelerator])
        self.adapter: str = started["adapter"]
        self.browser: str = started["browser"]
        page.server.models[_ARTIFACT] = content
        said = page.do("loaded", model=_ARTIFACT, accelerator=ACCELERATORS[accelerator])
        self.refusal = self.fault = _line(said.get("refusal", []))
        self.whole = not self.refusal and bool(said["done"]["whole"])
        self.milliseconds: list[float] = []
        self._sample: Mapping[str, np.ndarray] = {}

    def describe_device(self, name: str) -> Device:
        """See DeviceModel."""
        return Device(self._accelerator, self.adapter, name, self.browser, self._runtime)

    def announce(self, samples: Iterable[Mapping[str, np.ndarray]]) -> None:
        """See DeviceModel; a page takes one after the other."""

    def __call__(self, sample: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """See DeviceModel."""
        if self.refusal:
            raise self._refuse("LiteRT.js", self.refusal)
        server = self._page.server
        self._sample = sample
        server.inputs[_ARTIFACT] = self._values_to_set(sample)
        server.outputs.clear()
        said = self._page.do("ran", model=_ARTIFACT)
        if "refusal" in said:
            raise self._refuse("LiteRT.js", _line(said["refusal"]))
        self.milliseconds.append(said["done"]["ms"])
        return self._floats(server.outputs, "LiteRT.js")

    def measure(
        self,
        float_master: bytes,
        names: Mapping[str, str],
        rounds: int = ROUNDS,
        seconds: float = SECONDS_A_ROUND,
    ) -> DeviceSpeed | None:
        """See DeviceModel.

        Args:
          float_master: a whole .tflite file.
          names: an input name of the model to the float master's.
          rounds: how many, each of both models, after one that is not counted.
          seconds: that each model runs in a round; it runs at least once.
        """
        if self._accelerator == "gpu":
            return None
        server = self._page.server
        server.models[_FLOAT_MASTER] = float_master
        server.inputs[_FLOAT_MASTER] = {
            name: self._sample[theirs].astype(np.float32) for theirs, name in names.items()
        }
        wasm = ACCELERATORS[self._accelerator]
        self._page.done("loaded", model=_FLOAT_MASTER, accelerator=wasm)
        medians = self._page.done("timed", rounds=rounds, seconds=seconds)["medians"]
        return speed_of(medians[_ARTIFACT], medians[_FLOAT_MASTER])


@contextlib.contextmanager
def open_in_browser(
    content: bytes,
    where: str,
    accelerator: Accelerator,
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
        page = _Page(server, browser, where, seconds)
        yield BrowserModel(content, page, accelerator, f"LiteRT.js {litertjs_version(packages)}")
