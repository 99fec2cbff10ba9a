"""avsv serve in Chromium, with a fake camera and microphone: enrol, identify, verify and remove; small networks."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from avsv.people.gallery import Gallery
from avsv.people.server import Server
from avsv.people.service import Service
from tests.chromium import OPTIONS, PROGRAMS, in_chromium
from tests.commands.test_gallery import calibration, encoders, media, models, people, picture, voice  # noqa: F401

SEEN = 1  # the person before the camera: Bo


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service as Driver

    folder = tmp_path_factory.mktemp("camera")
    with av.open(str(folder / "camera.y4m"), "w", format="yuv4mpegpipe") as out:
        video = out.add_stream("rawvideo", rate=10)
        video.height, video.width, video.pix_fmt = 400, 400, "yuv420p"
        for _ in range(20):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture(SEEN), "bgr24")))
    soundfile.write(folder / "microphone.wav", np.tile(voice(SEEN), 3), 16000, subtype="PCM_16")
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS["chromium"]
    for option in (*OPTIONS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                   f"--user-data-dir={folder / 'profile'}", "--window-size=900,1400",
                   f"--use-file-for-fake-video-capture={folder / 'camera.y4m'}",
                   f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}"):  # fmt: skip
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver(PROGRAMS["chromedriver"]))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, people):  # noqa: F811
    """The page of the gallery of Ann and Bo."""
    with Service(Gallery(people)) as service, Server(service) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        browser.get(server.url)
        browser.service_of_page = service
        yield browser
        server.shutdown()


def until(page, condition, seconds=240):  # a busy machine takes long to start decoders
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, seconds, 0.1).until(lambda driver: driver.execute_script(f"return {condition}"))


def click(page, name):
    page.find_element("id", name).click()


def choose(page, *files):
    """Upload files; afterwards the last of them is chosen."""
    for file in files:
        before = page.execute_script("return document.querySelectorAll('#clips > li').length")
        page.find_element("id", "files").send_keys(str(file))
        until(page, f"document.querySelectorAll('#clips > li').length == {before + 1}")


def answer(page):
    until(page, "document.querySelector('#result .answer')")
    return page.execute_script("return document.querySelector('#result').innerText")


def names(page):
    return page.execute_script(
        "return [...document.querySelectorAll('#people tbody tr')].map((row) => row.cells[0].textContent)"
    )


@in_chromium
def test_the_person_before_the_camera_is_identified(page, tmp_path):
    click(page, "camera")
    until(page, "!document.querySelector('#record').hidden")
    click(page, "record")
    until(page, "document.querySelectorAll('#clips > li').length == 1")
    chips = page.execute_script(
        "return [...document.querySelectorAll('.chip:not(.absent)')].map((one) => one.textContent)"
    )
    assert chips == ["voice", "face"]
    click(page, "identify")
    text = answer(page)
    assert text.splitlines()[0] == "Bo"
    assert "runner-up, Ann" in text
    page.save_screenshot(str(tmp_path / "identified.png"))
    assert page.get_log("browser") == []
    assert not list(Path(page.service_of_page.folder.name).iterdir())


@in_chromium
def test_files_are_compared_enrolled_and_removed(page, media):  # noqa: F811
    until(page, "document.querySelectorAll('#people tbody tr').length == 2")
    assert names(page) == ["Ann", "Bo"]
    choose(page, media / "cy.mp4", media / "cy.wav")
    for box in page.find_elements("css selector", "#clips input"):
        if not box.is_selected():
            box.click()
    click(page, "verify")
    assert answer(page).splitlines()[0] == "The same person"
    page.find_element("id", "name").send_keys('<b>Cy</b> "C"')
    click(page, "enroll-button")
    until(page, "document.querySelectorAll('#people tbody tr').length == 3")
    assert '<b>Cy</b> "C"' in names(page)
    assert page.find_elements("css selector", "#clips > li") == []
    choose(page, media / "cy.png")
    click(page, "identify")
    until(page, "document.querySelector('#result .answer')?.textContent.includes('Cy')")
    page.find_element("css selector", "#people button[aria-label*='Cy']").click()
    page.switch_to.alert.accept()
    until(page, "document.querySelectorAll('#people tbody tr').length == 2")
    assert names(page) == ["Ann", "Bo"]
    assert page.get_log("browser") == []


@in_chromium
def test_a_file_without_voice_and_face_gets_a_message(page, media):  # noqa: F811
    page.find_element("id", "files").send_keys(str(media / "notes.txt"))
    until(page, "document.querySelector('#status').className == 'error'")
    assert "notes.txt: the recording" in page.find_element("id", "status").text


@in_chromium
def test_it_talks_to_its_own_server_only(page):
    until(page, "document.querySelectorAll('#people tbody tr').length == 2")
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    own = page.execute_script("return location.origin")
    assert loaded and all(name.startswith(own) for name in loaded)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_command_prints_an_address_and_leaves_nothing(people, tmp_path, number, status):  # noqa: F811
    argv = [sys.executable, "-m", "avsv.cli", "serve", "--port", "0", str(people)]
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    assert re.search(r"http://127\.0\.0\.1:\d+/ ", line)
    assert len(list((tmp_path / "temporary").glob("avsv-serve-*"))) == 1
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    assert "Traceback" not in process.stderr.read()
    assert not list((tmp_path / "temporary").iterdir())


def test_a_port_in_use_and_an_unknown_gallery_are_named(avsv, people, tmp_path):  # noqa: F811
    with Server(Service(Gallery(people))) as server:
        status, output = avsv("serve", "--port", server.server_port, people)
        assert status == 1 and str(server.server_port) in output
    status, output = avsv("serve", tmp_path / "none.gallery")
    assert status == 1 and "none.gallery" in output
