import os
import subprocess
import sys

import pytest

from tools.latency.device import cpu_model, describe_host, pin_to_cpus, usable_cpus

linux_only = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system has no processor affinity"
)


def test_usable_processors_are_the_process_s_own():
    cpus = usable_cpus()
    assert cpus == sorted(set(cpus))
    assert 1 <= len(cpus) <= os.cpu_count()


def _in_another_process(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout.strip()


@linux_only
def test_pins_to_as_many_processors_as_threads():
    """In a process of its own: what is pinned stays so."""
    code = (
        "import os\n"
        "from tools.latency.device import pin_to_cpus, usable_cpus\n"
        "before = usable_cpus()\n"
        "pinned = pin_to_cpus({count})\n"
        "assert pinned == before[-{count}:], (pinned, before)\n"
        "assert sorted(os.sched_getaffinity(0)) == pinned\n"
        "print(len(pinned))\n"
    )
    for count in {1, len(usable_cpus())}:
        assert _in_another_process(code.format(count=count)) == str(count)


@linux_only
def test_a_process_that_may_use_one_processor_uses_that(monkeypatch):
    code = (
        "import os\n"
        "from tools.latency.device import pin_to_cpus, usable_cpus\n"
        "first = usable_cpus()[0]\n"
        "os.sched_setaffinity(0, [first])\n"
        "assert usable_cpus() == pin_to_cpus(1) == [first]\n"
        "print('ok')\n"
    )
    assert _in_another_process(code) == "ok"


def test_system_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert usable_cpus() == list(range(os.cpu_count()))
    assert pin_to_cpus(1) == []


def test_host_is_described():
    host = describe_host(2, [0, 1])
    assert host["cpu"] == cpu_model() != ""
    assert host["threads"] == 2
    assert host["pinned_cpus"] == [0, 1]
    assert host["cores"] == os.cpu_count()
    assert (host["name"], host["backend"]) == ("host", "host")
    assert host["runtime"].startswith("ai-edge-litert 2.")
    assert host["runtime"].endswith(", XNNPACK")
