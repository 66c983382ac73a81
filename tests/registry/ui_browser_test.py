"""MLflow's UI in a browser: links of the lineage lead on, pages and pictures show.

Runs in the environment that has selenium; the registry's commands run in theirs.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.registry.registration_files import flags, write_files

_SECONDS = 300
_ROOT = Path(__file__).resolve().parents[2]


def _registry_environment():
    """Gives interpreter and variables of the registry's own environment."""
    folder = os.environ.get("RULES_QUANTIZE_REGISTRY")
    if folder:
        python = f"{folder}/bin/python"
    else:
        found = Path(os.environ["RUNFILES_DIR"]).glob("*rules_quantize_registry/venv/bin/python")
        python = str(next(found))
    return python, {**os.environ, "PYTHONPATH": str(_ROOT)}


def _run(command, workspace, *arguments):
    python, environment = _registry_environment()
    environment |= {"BUILD_WORKSPACE_DIRECTORY": str(workspace), "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        [python, str(_ROOT / "registry" / f"{command}.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(name="address", scope="module")
def _address(tmp_path_factory):
    """Two versions, one of them in production, and the UI on them."""
    workspace = tmp_path_factory.mktemp("workspace")
    policy = workspace / "promotion.toml"
    policy.write_text('[aliases.production]\nrequired_devices = ["host"]\n')
    for artifact, p50_ms in ((b"an int8 model", 2.0), (b"a smaller", 1.5)):
        files = write_files(workspace / artifact.decode(), artifact=artifact, p50_ms=p50_ms)
        _run("register", workspace, *flags(files))
    _run("promote", workspace, "face@2", "--to=production", f"--policy={policy}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python, environment = _registry_environment()
    ui = subprocess.Popen(
        [python, str(_ROOT / "registry" / "ui.py"), f"--port={port}"],
        env={**environment, "BUILD_WORKSPACE_DIRECTORY": str(workspace), "MLFLOW_TRACKING_URI": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert ui.stdout.readline().startswith("MLflow's UI on ")
        yield f"http://127.0.0.1:{port}"
    finally:
        ui.terminate()
        ui.wait(300)


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for flag in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--no-first-run", "--disable-quic", "--window-size=1500,1100"),
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    driver = shutil.which("chromedriver") or "/usr/bin/chromedriver"
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    browser.set_page_load_timeout(_SECONDS)
    yield browser
    browser.quit()


def _wait(browser, condition):
    return WebDriverWait(browser, _SECONDS).until(condition)


def _shows(text):
    return lambda browser: text in browser.find_element(By.TAG_NAME, "body").text


def _picture(browser, name):
    """Keeps what was seen with the test's outputs."""
    folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if folder:
        browser.save_screenshot(str(Path(folder, f"{name}.png")))


def _link(browser, text):
    def find(browser):
        found = browser.find_elements(By.PARTIAL_LINK_TEXT, text)
        return found[0] if found else None

    return _wait(browser, find)


def _follow(browser, text, part):
    """Clicks on a link, which may open a tab of its own, and waits for where it leads."""
    _link(browser, text).click()

    def arrived(browser):
        browser.switch_to.window(browser.window_handles[-1])
        return part in browser.current_url

    _wait(browser, arrived)


def test_from_a_version_to_its_float_master_and_back(browser, address):
    browser.get(f"{address}/#/models/face/versions/2?workflowType=machine_learning")
    _wait(browser, _shows("made from"))
    _wait(browser, _shows("production"))
    _picture(browser, "version")
    first = browser.current_window_handle
    _follow(browser, "face.float version 1", "/models/face.float/versions/1")
    _wait(browser, _shows("Float master, 52 bytes"))
    _picture(browser, "float_master")
    browser.switch_to.window(first)
    _follow(browser, "this run", "/runs/")
    _wait(browser, _shows("latency_p50_ms"))
    _picture(browser, "run")


def _artifact_page(browser, address, kind):
    """Opens the artifacts of the newest run of a kind."""
    browser.get(f"{address}/#/models/face/versions/2?workflowType=machine_learning")
    script = """
        const done = arguments[arguments.length - 1];
        fetch('/ajax-api/2.0/mlflow/runs/search', {
            method: 'POST',
            headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({experiment_ids: ['1'], filter: "tags.kind = '" +
                arguments[0] + "'", order_by: ['attributes.start_time DESC']}),
        }).then(answer => answer.json()).then(found => done(found.runs[0].info.run_id));
    """
    browser.set_script_timeout(_SECONDS)
    run_id = browser.execute_async_script(script, kind)
    browser.get(f"{address}/#/experiments/1/runs/{run_id}/artifacts?workflowType=machine_learning")


def _open(browser, name):
    def find(browser):
        found = browser.find_elements(By.XPATH, f"//*[normalize-space(text())='{name}']")
        return found[-1] if found else None

    _wait(browser, find).click()


def _framed_text(browser):
    """Reads the page in the viewer's frame."""

    def read(browser):
        for frame in browser.find_elements(By.TAG_NAME, "iframe"):
            browser.switch_to.frame(frame)
            text = browser.find_element(By.TAG_NAME, "body").text
            drawn = len(browser.find_elements(By.CSS_SELECTOR, "svg circle, svg rect"))
            clipped = browser.execute_script(
                "const page = document.documentElement; return page.scrollWidth > page.clientWidth"
            )
            browser.switch_to.default_content()
            if text and drawn:
                assert not clipped
                return text
        return None

    return _wait(browser, read)


def test_dashboard_shows_in_place(browser, address):
    _artifact_page(browser, address, "dashboard")
    _open(browser, "dashboard.html")
    text = _framed_text(browser)
    _picture(browser, "dashboard")

    assert "face: the 2 newest versions" in text
    assert "face@2" in text
    assert "promotion" in text


def test_page_and_picture_of_a_run_show_in_place(browser, address):
    _artifact_page(browser, address, "registration")
    _open(browser, "overview.html")
    text = _framed_text(browser)
    _picture(browser, "overview")
    assert "face_int8 1.0.0" in text
    assert "max_score_error" in text
    _open(browser, "overview.svg")

    def loaded(browser):
        return browser.execute_script(
            "return [...document.images].some(image => image.naturalWidth >= 600)"
        )

    _wait(browser, loaded)
    _picture(browser, "picture")


def test_nothing_was_asked_of_other_hosts(browser, address):
    """The pages are whole in themselves."""
    _artifact_page(browser, address, "dashboard")
    _open(browser, "dashboard.html")
    _framed_text(browser)
    time.sleep(1)
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert asked
    assert [name for name in asked if name.startswith("http") and address not in name] == []
