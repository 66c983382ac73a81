"""Describes the machine that a latency was measured on."""

import os
import platform
from importlib import metadata
from pathlib import Path


def cpu_model() -> str:
    """Names the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Hardware", "Processor")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cpus() -> list[int]:
    """Lists the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin_to_cpus(count: int) -> list[int]:
    """Keeps this process on as many processors as it has threads.

    Args:
      count: threads that will run.

    Returns:
      The processors, empty where the system has no such call (macOS). The last ones are
      taken: interrupts are most often handled on the first.
    """
    return allow_cpus(usable_cpus()[-count:])


def allow_cpus(cpus: list[int]) -> list[int]:
    """Lets this process run on some processors; returns them, or none as `pin_to_cpus`."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    os.sched_setaffinity(0, cpus)
    return cpus


def describe_host(threads: int, pinned: list[int]) -> dict:
    """Describes this host for a latency report.

    Args:
      threads: of the interpreter.
      pinned: processors that the process is kept on.

    Returns:
      {"name", "backend", "cpu", "cores", "pinned_cpus", "threads", "runtime"}.
    """
    return {
        "backend": "host",
        "cores": os.cpu_count() or 1,
        "cpu": cpu_model(),
        "name": "host",
        "pinned_cpus": pinned,
        "runtime": f"ai-edge-litert {metadata.version('ai-edge-litert')}, XNNPACK",
        "threads": threads,
    }
