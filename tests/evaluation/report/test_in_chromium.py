"""The report in a browser, opened from disk: no errors, sorting, audio, images, a phone's width, print."""

import pytest

from avsv.evaluation.report.results import Options
from tests.chromium import OPTIONS, PROGRAMS, in_chromium
from tests.evaluation.report.small_report import make_experiment

pytestmark = in_chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS["chromium"]
    for option in (
        *OPTIONS,
        "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(PROGRAMS["chromedriver"]))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    experiment = make_experiment(tmp_path_factory.mktemp("experiment"))
    for condition, utts in (("test", experiment.names), ("test_noisy", experiment.names)):
        path = experiment.exp / "voice" / condition / "weights"
        path.parent.mkdir()
        path.write_text("".join(f"{utt} {0.3 + 0.01 * place:.2f}\n" for place, utt in enumerate(sorted(utts))))
    options = Options(n_resamples=50, utt2spk=experiment.data / "utt2spk", by=[experiment.data / "spk2gender"])
    return (experiment.report(options=options) / "index.html").as_uri()


@pytest.fixture
def page(browser, address):
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(address)
    return browser


def column(page, number, position):
    """The texts of a column of table `number`."""
    return page.execute_script(
        "const table = document.querySelectorAll('table.sortable')[arguments[0]];"
        "return [...table.tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)", number, position,
    )  # fmt: skip


def heads(page, number):
    return page.find_elements("css selector", "table.sortable")[number].find_elements("css selector", "thead button")


def test_it_loads_without_console_messages(page):
    assert page.title.endswith("/exp")
    assert page.get_log("browser") == []


def test_a_click_on_a_heading_sorts_and_a_second_click_reverses_the_order(page):
    head = heads(page, 0)[2]
    head.click()
    ascending = [float(text) for text in column(page, 0, 2)]
    head.click()
    descending = [float(text) for text in column(page, 0, 2)]
    assert ascending == sorted(ascending)
    assert descending == ascending[::-1] != ascending
    assert head.find_element("xpath", "..").get_attribute("aria-sort") == "descending"


def test_names_can_be_sorted_from_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    head = heads(page, 0)[0]
    head.send_keys(Keys.ENTER)
    head.send_keys(Keys.SPACE)
    assert column(page, 0, 0) == ["voice", "face"]


def test_every_audio_element_plays(page):
    lengths = page.execute_async_script("""
        const done = arguments[0];
        for (const fold of document.querySelectorAll("details")) fold.open = true;
        const length = (sound) => new Promise((tell) => {
          sound.onloadedmetadata = () => tell(sound.duration);
          sound.onerror = () => tell(0);
          sound.preload = "metadata";
          sound.load();
        });
        Promise.all([...document.querySelectorAll("audio")].map(length)).then(done);
    """)
    assert len(lengths) > 10
    assert min(lengths) > 0.2


def test_every_image_is_displayed(page):
    widths = page.execute_async_script("""
        const done = arguments[0], pictures = [...document.images];
        for (const fold of document.querySelectorAll("details")) fold.open = true;
        for (const picture of pictures) picture.loading = "eager";
        const widths = () => done(pictures.map((one) => one.naturalWidth));
        Promise.allSettled(pictures.map((one) => one.decode())).then(widths);
    """)
    assert len(widths) > 10
    assert min(widths) > 0


def show_at(page, width):
    """The page on a screen of this width, with everything unfolded."""
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                         {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
    page.refresh()
    page.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")


@pytest.mark.parametrize("width", [360, 400, 1200, 1300])
def test_the_page_does_not_scroll_sideways(page, width):
    show_at(page, width)
    root = "document.documentElement"
    assert page.execute_script(f"return {root}.scrollWidth - {root}.clientWidth") == 0


def hints(page):
    """For each table: whether it is wider than its area, and whether its hint and its shadow are visible."""
    return page.execute_script("""
        return [...document.querySelectorAll(".scroller")].map((scroller) => {
          const area = scroller.querySelector(".wide"), hint = scroller.querySelector(".hint");
          const shadow = getComputedStyle(scroller, "::after").display !== "none";
          const shown = hint.checkVisibility({ visibilityProperty: true }) && hint.textContent.includes("scroll");
          return [area.scrollWidth > area.clientWidth + 1, shown, shadow];
        });
    """)


@pytest.mark.parametrize("width", [400, 1300])
def test_a_table_wider_than_the_page_shows_the_hint(page, width):
    show_at(page, width)
    found = hints(page)
    assert width == 1300 or any(wide for wide, *_ in found)
    assert [[wide, wide] for wide, *_ in found] == [shown for _, *shown in found]


def test_the_hint_disappears_once_the_last_column_is_visible(page):
    show_at(page, 400)
    wide = [place for place, (wide, *_) in enumerate(hints(page)) if wide]
    page.execute_async_script("""
        for (const area of document.querySelectorAll(".wide")) area.scrollLeft = area.scrollWidth;
        requestAnimationFrame(() => requestAnimationFrame(arguments[0]));
    """)
    assert [hints(page)[place][1:] for place in wide] == [[False, False]] * len(wide)


def test_a_narrow_screen_names_the_back_end_below_the_system(page):
    show_at(page, 400)
    below, column = page.execute_script("""
        const head = document.querySelector("th[data-backend]");
        return [getComputedStyle(head, "::after").content, getComputedStyle(head.nextElementSibling).display];
    """)
    assert "cosine" in below
    assert column == "none"


@pytest.mark.parametrize("width", [400, 1300])
def test_no_label_of_a_figure_is_cut_off_or_overlaps_another(page, width):
    show_at(page, width)
    wrong = page.execute_script("""
        const wrong = [];
        for (const plot of document.querySelectorAll("svg.plot")) {
          const frame = plot.getBoundingClientRect();
          const boxOf = (text) => [text.textContent, text.getBoundingClientRect()];
          const texts = [...plot.querySelectorAll("text")].map(boxOf);
          texts.forEach(([name, box], place) => {
            const inside = box.left >= frame.left - 1 && box.right <= frame.right + 1
              && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
            if (!inside) wrong.push(`${plot.ariaLabel}: "${name}" is cut`);
            for (const [other, its] of texts.slice(place + 1)) {
              if (box.left < its.right && its.left < box.right && box.top + 3 < its.bottom && its.top + 3 < box.bottom)
                wrong.push(`${plot.ariaLabel}: "${name}" covers "${other}"`);
            }
          });
        }
        return wrong;
    """)
    assert wrong == []


def test_it_makes_no_network_requests(page):
    names = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in names if not name.startswith(("file:", "data:"))] == []


def test_an_injected_script_does_not_run(page):
    page.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.intruder = true";
        document.body.append(script);
    """)
    assert page.execute_script("return window.intruder") is None
    assert "Content Security Policy" in page.get_log("browser")[0]["message"]


def test_it_prints(page):
    assert page.print_page()
