"""Chromium without a window, for the tests of pages."""

import shutil

import pytest

PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --mute-audio"
).split()
in_chromium = pytest.mark.skipif(
    not all(PROGRAMS.values()), reason="Chromium is absent: apt-get install -y chromium chromium-driver"
)
