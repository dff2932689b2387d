"""The page, in a real browser.

Contract: what is highlighted is the quote, character for character; a letter cannot act, whatever it holds; nothing is
fetched from elsewhere and nothing is complained of in the console; axe finds nothing; it works by keyboard and on a phone.

Needs Chromium (Debian: ``apt-get install chromium fonts-wqy-microhei``); skipped without it; `.ci/run` installs it where it can.
"""

import json
import shutil
from pathlib import Path

import pytest
from fakes import LETTERS, SEEDS, serving
from playwright.sync_api import expect

from rag.api import create_app
from rag.index import parse_all, update
from rag.keys import Keys
from rag.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium fonts-wqy-microhei"
)
ASKED, QUOTE = "零工驿站建了多少家?", "截至目前,全市建成零工驿站63家。"
HOSTILE = """关于<img src=x onerror=alert(1)>建议的答复
<script>window.hacked=1</script>委员会：
您提出的《关于<b onmouseover=alert(2)>绿化</b>的建议》收悉，现答复如下：
一、绿化工作。<script>window.hacked=2</script>全市建成口袋公园<img src=x onerror="window.hacked=3">共87座。\
[点我](javascript:alert(3))，\u202e文字反转\u202c测试完毕。
二、养护工作。组建养护队伍26支，\u2066隔离\u2069。javascript:window.hacked=4
青石市园林局
2025年6月3日
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory, embedder):
    """A service over letters of its own: its address and a key."""
    home = tmp_path_factory.mktemp("web")
    for path in (*LETTERS.glob("*.txt"), *SEEDS.glob("*.txt")):
        shutil.copy(path, home)
    settings = Settings(
        index_dir=home / "index",
        seeds_dir=home,
        keys_file=home / "keys.json",
        requests_per_minute=0,
        _env_file=None,
    )
    update(settings.index_dir, parse_all([home]), embedder)
    _, key = Keys(settings.keys_file).new()
    with serving(create_app(settings, embedder)) as address:
        yield address, key


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, service):
    """Opens the page; afterwards nothing may have been complained of, nor fetched from elsewhere."""
    address, _ = service
    wrong, contexts = [], []

    def open_page(path="/", width=1280, height=800, expected="", address=address, **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            **{"locale": "zh-CN", **options},
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()

        def complained(message):
            if message.type in ("error", "warning") and not (expected and expected in message.text):
                wrong.append(message.text)

        page.on("console", complained)
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.on("dialog", lambda d: wrong.append(d.message) or d.dismiss())
        page.on("request", lambda r: None if r.url.startswith(address) else wrong.append(r.url))
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def ask(page, question):
    known = page.locator(".turn").count()
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.locator(".turn").nth(known).locator(".short, .sentences").first.wait_for()
    return page.locator(".turn").nth(known)


def marked(page):
    page.locator("mark").first.wait_for()
    return "".join(page.locator("mark").all_text_contents())


def test_citation_opens_the_letter_with_the_quote_marked_and_in_sight(opened):
    page = opened()
    turn = ask(page, ASKED)
    assert turn.locator(".short").inner_text() == "63家"
    assert turn.locator(".sentences").inner_text().startswith(QUOTE)
    assert turn.locator(".sure").inner_text() == "很有把握"
    turn.locator(".source").click()
    assert marked(page) == QUOTE
    box = page.locator("mark").first.bounding_box()
    assert 58 < box["y"] < 800 - 58
    assert page.url.endswith("/letters/wuhan-hrss-2025-07-31#c=2300-2317")
    assert page.locator(":focus").inner_text() == QUOTE


def test_permalink_shows_its_slice_and_the_next_one_another(opened):
    page = opened("/letters/wuhan-hrss-2025-07-31#c=2300-2317")
    assert marked(page) == QUOTE
    page.evaluate("location.hash = '#c=0-3'")
    expect(page.locator("mark")).to_have_text("市民盟")


def test_slice_may_go_over_several_lines(opened, seed):
    page = opened("/letters/wuhan-hrss-2025-07-31#c=0-12")
    assert marked(page) == seed.text[:12].replace("\n", "")


def test_letter_shows_every_character_of_its_lines(opened, letters):
    page = opened("/letters/haizhou-civil")
    page.locator(".text p").first.wait_for()
    shown = page.locator(".text > *").all_text_contents()
    assert shown == [line for line in letters["haizhou-civil"].text.split("\n") if line.strip()]


def test_letter_that_was_uploaded_is_understood_and_answers(opened, service, tmp_path):
    _, key = service
    page = opened()
    path = tmp_path / "yuhe.txt"
    path.write_text(
        "关于公园建设的答复\n某某委员：\n来信收悉，现答复如下：\n一、建公园。建成社区公园37处。\n二、护树木。管护古树219株。\n雨河市园林局\n2025年5月6日\n",
        encoding="utf-8",
    )
    page.click("#show-add")
    page.fill("#key", key)
    page.set_input_files("#files", path)
    arrival = page.locator(".understood")
    arrival.wait_for()
    assert "雨河市园林局" in arrival.inner_text()
    assert "2025-05-06" in arrival.inner_text()
    arrival.locator("summary").click()
    assert "二、护树木。" in arrival.inner_text()
    arrival.get_by_role("button", name="问这封").click()
    page.locator("#scope").wait_for()
    turn = ask(page, "管护古树多少株?")
    assert turn.locator(".short").inner_text() == "219株"


def test_upload_without_a_key_says_so(opened, tmp_path):
    page = opened(expected="401")
    page.click("#show-add")
    path = tmp_path / "a.txt"
    path.write_text("一、建公园。建成3处。\n", encoding="utf-8")
    with page.expect_response("**/letters") as response:
        page.set_input_files("#files", path)
    assert response.value.status == 401
    assert "key" in page.locator(".arrivals .warning").inner_text()


def test_hostile_letter_does_nothing(opened, service, tmp_path):
    _, key = service
    page = opened()
    path = tmp_path / "hostile.txt"
    path.write_text(HOSTILE, encoding="utf-8")
    page.click("#show-add")
    page.fill("#key", key)
    page.set_input_files("#files", path)
    page.locator(".understood").wait_for()
    page.keyboard.press("Escape")
    turn = ask(page, "全市建成口袋公园多少座?")
    assert turn.locator(".short").inner_text() == "87座"
    turn.locator(".source").click()
    assert "<script>window.hacked=2</script>" in marked(page)
    page.click("#show-letters")
    page.locator(".found li").first.wait_for()
    assert page.evaluate("window.hacked") is None
    assert page.locator("body script, [onerror], [onmouseover], a[href^='javascript']").count() == 0
    assert page.locator(".text img, .turns img").count() == 0
    assert page.locator(".text bdi").all_text_contents() == ["\u202e", "\u202c", "\u2066", "\u2069"]


def test_refusal_says_what_is_near_and_what_the_letters_answer(opened):
    page = opened()
    turn = ask(page, "地铁三号线哪一年通车?")
    turn.locator(".questions button").first.wait_for()
    assert turn.locator(".label").inner_text() == "复函没有答案"
    assert turn.locator(".source").count() in (0, 3)
    turn.locator(".questions button").first.click()
    page.locator(".turn").nth(1).locator(".sources").wait_for()


def test_suggested_question_is_answered(opened):
    page = opened("/letters/haizhou-civil")
    page.locator("#starters button").first.click()
    page.locator(".turn .sources").wait_for()
    assert page.locator(".turn .short").count() == 1


def test_shared_question_is_asked_again(opened):
    page = opened(f"/?q={ASKED}")
    page.locator(".turn .sources").wait_for()
    assert page.locator(".short").inner_text() == "63家"


def test_answer_that_is_cut_off_says_so_and_can_be_asked_again(opened):
    page = opened()
    cut = 'event: status\ndata: {"state": "reading"}\n\n'
    page.route("**/chat", lambda r: r.fulfill(content_type="text/event-stream", body=cut), times=1)
    page.fill("#question", ASKED)
    page.press("#question", "Enter")
    expect(page.locator(".turn .failure")).to_contain_text("连不上服务")
    page.get_by_role("button", name="再试一次").click()
    expect(page.locator(".turn .short")).to_have_text("63家")


def test_letter_that_comes_late_does_not_take_the_place_of_the_one_chosen_after_it(opened):
    page = opened()
    held = []
    page.route("**/letters/haizhou-civil", lambda r: held.insert(0, r))
    for words in ("海洲", "松禾"):
        page.click("#show-letters")
        page.fill("#filter", words)
        expect(page.locator(".found li")).to_have_count(1)
        page.click(".found a")
    expect(page.locator("#letter-title")).to_contain_text("松禾")
    with page.expect_response("**/letters/haizhou-civil"):
        held[0].continue_()
    page.wait_for_timeout(100)
    expect(page.locator("#letter-title")).to_contain_text("松禾")
    assert page.url.endswith("/letters/songhe-jobs")


def test_number_that_stands_out_is_a_whole_one(opened):
    page = opened()
    answer = {
        "answer": "建成驿站63家,其中星级驿站3家。[1]",
        "short_answer": "3家",
        "confidence": 0.95,
        "mode": "extractive",
        "refused": False,
        "citations": [],
    }
    body = f"event: answer\ndata: {json.dumps(answer)}\n\nevent: done\ndata: {{}}\n\n"
    page.route("**/chat", lambda r: r.fulfill(content_type="text/event-stream", body=body))
    page.fill("#question", "星级驿站多少家?")
    page.press("#question", "Enter")
    expect(page.locator(".sentences .key")).to_have_text("3家")
    assert page.locator(".key").evaluate("k => k.previousSibling.textContent") == "建成驿站63家,其中星级驿站"


def test_address_that_is_no_encoding_leaves_the_page_usable(opened):
    page = opened("/letters/100%", expected="404")
    page.locator("#starters button").first.wait_for()


def test_enter_that_ends_a_composition_sends_nothing(opened):
    page = opened()
    page.locator("#starters button").first.wait_for()
    page.fill("#question", ASKED)
    page.evaluate(
        "document.getElementById('question').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229}))"
    )
    assert page.locator(".turn").count() == 0


def test_list_is_filtered_and_opens_a_letter(opened):
    page = opened()
    page.click("#show-letters")
    page.locator(".found li").nth(5).wait_for()
    page.fill("#filter", "海洲")
    expect(page.locator(".found li")).to_have_count(1)
    page.click(".found a")
    page.locator(".text").wait_for()
    assert page.url.endswith("/letters/haizhou-civil")


def test_answer_is_copied_with_its_citation(opened, service):
    page = opened()
    turn = ask(page, ASKED)
    turn.get_by_role("button", name="复制回答和出处").click()
    page.locator(".toast.on").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == (
        f"{QUOTE}[1]\n[1] 武汉市人力资源和社会保障局 · 2025-07-31 · (一)大力支持灵活就业。\n"
        f"    {service[0]}/letters/wuhan-hrss-2025-07-31#c=2300-2317"
    )


def test_selected_words_are_copied_as_a_quote_with_their_address(opened, service):
    page = opened("/letters/wuhan-hrss-2025-07-31")
    page.locator(".text p").first.wait_for()
    page.evaluate(
        "() => { const p = document.querySelector('#letter [data-start=\"5\"]'); getSelection().setBaseAndExtent(p.firstChild, 0, p.firstChild, 3) }"
    )
    page.get_by_role("button", name="复制引文").click()
    page.locator(".toast.on").wait_for()
    told = page.evaluate("navigator.clipboard.readText()")
    assert told.startswith("“贵单位”\n")
    assert told.endswith(f"{service[0]}/letters/wuhan-hrss-2025-07-31#c=5-8")


@pytest.mark.parametrize("which", [1, -1])
def test_paragraph_chosen_by_three_clicks_is_copied_without_the_blank_after_it(opened, seed, which):
    page = opened("/letters/wuhan-hrss-2025-07-31")
    paragraph = page.locator(".text p").nth(which)
    paragraph.click(click_count=3)
    page.get_by_role("button", name="复制引文").click()
    page.locator(".toast.on").wait_for()
    told = page.evaluate("navigator.clipboard.readText()")
    assert told.startswith(f"“{paragraph.text_content().strip()}”\n")
    start, end = map(int, told.rpartition("#c=")[2].split("-"))
    assert seed.text[start:end] == paragraph.text_content().strip()


def test_contents_lead_to_a_measure_within_a_line(opened, service, tmp_path):
    _, key = service
    page = opened()
    path = tmp_path / "inline.txt"
    path.write_text(
        "关于河道的答复\n某委员：\n一、清河道。清理河道9公里。\n二、建设施。（一）建泵站。建成泵站3座。（二）建水闸。建成水闸4座。\n",
        encoding="utf-8",
    )
    page.click("#show-add")
    page.fill("#key", key)
    page.set_input_files("#files", path)
    page.get_by_role("button", name="看原文").click()
    page.locator(".contents summary").click()
    count = page.locator(".contents button").count()
    assert [page.locator(f"#m{i}").count() for i in range(count)] == [1] * count
    following = page.evaluate("document.querySelector('.text span[id]').nextSibling.textContent")
    assert following.startswith("（一）建泵站。")


def test_all_by_keyboard(opened):
    page = opened()
    page.locator("#starters button").first.wait_for()
    page.keyboard.press("Tab")
    assert page.locator(":focus").get_attribute("class") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    assert page.locator(":focus").get_attribute("id") == "question"
    page.keyboard.insert_text(ASKED)
    page.keyboard.press("Enter")
    page.locator(".turn .sources").wait_for()
    page.locator(".mark").focus()
    page.keyboard.press("Enter")
    assert marked(page) == QUOTE
    page.keyboard.press("Escape")
    assert page.locator("#letter").is_hidden()
    assert page.locator(":focus").get_attribute("class") == "mark"


def test_answer_is_told_to_a_screen_reader(opened):
    page = opened()
    ask(page, ASKED)
    assert page.locator("[role=status]").inner_text().startswith("63家。" + QUOTE)


def test_english_switch_is_kept_and_leaves_quotes_alone(opened):
    page = opened()
    page.click("#language")
    assert page.locator("h1").inner_text() == "Ask the letters, read the source"
    page.reload()
    assert page.evaluate("document.documentElement.lang") == "en"
    turn = ask(page, ASKED)
    assert turn.locator(".sure").inner_text() == "Very sure"
    assert turn.locator(".short").inner_text() == "63家"


def test_page_speaks_the_language_of_the_browser(opened):
    assert opened(locale="en-GB").locator("h1").inner_text() == "Ask the letters, read the source"


def test_theme_goes_round_and_is_kept(opened):
    page = opened(color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(250, 247, 241)"
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(23, 21, 18)"
    page.reload()
    assert page.evaluate(paper) == "rgb(23, 21, 18)"


def test_back_and_forth_close_and_open_the_letter(opened):
    page = opened()
    ask(page, ASKED).locator(".source").click()
    assert marked(page) == QUOTE
    page.go_back()
    expect(page.locator("#letter")).to_be_hidden()
    assert page.locator(".short").inner_text() == "63家"
    page.go_forward()
    assert marked(page) == QUOTE


def test_question_is_asked_of_the_chosen_letter_alone_until_that_is_undone(opened):
    page = opened("/letters/songhe-jobs")
    page.get_by_role("button", name="只问这封").click()
    assert "63家" not in ask(page, ASKED).inner_text()
    page.locator("#scope-off").click()
    assert ask(page, ASKED).locator(".short").inner_text() == "63家"


def test_where_reading_needs_a_key_it_is_asked_for_once(opened, tmp_path, seed_library, embedder):
    settings = Settings(
        index_dir=seed_library, keys_file=tmp_path / "keys.json", read_needs_key=True, _env_file=None
    )
    _, key = Keys(settings.keys_file).new()
    with serving(create_app(settings, embedder)) as address:
        page = opened(expected="401", address=address)
        page.locator("#read-key").wait_for()
        page.fill("#read-key", key)
        page.keyboard.press("Enter")
        page.locator("#starters button").first.wait_for()
        assert ask(page, ASKED).locator(".short").inner_text() == "63家"
        page.close()


@pytest.mark.parametrize("width", [320, 375])
def test_nothing_goes_over_the_edge_of_a_phone(opened, width):
    page = opened(width=width, height=700)
    page.locator("#starters button").first.wait_for()
    turn = ask(page, ASKED)
    wide = "[document.documentElement.scrollWidth, document.querySelector('#letter').scrollWidth]"
    assert page.evaluate(wide)[0] <= width
    turn.locator(".source").click()
    assert marked(page) == QUOTE
    assert page.evaluate(wide)[1] <= width
    assert 58 < page.locator("mark").first.bounding_box()["y"] < 700 - 58


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_nothing(opened, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width=width, color_scheme=scheme, bypass_csp=True)
    page.locator("#starters button").first.wait_for()
    axe, found = Axe(), {}

    def examine(name):
        found[name] = [(v["id"], v["nodes"][0]["html"]) for v in axe.run(page).response["violations"]]

    examine("welcome")
    turn = ask(page, ASKED)
    turn.locator(".further").wait_for()
    examine("answer")
    ask(page, "地铁三号线哪一年通车?").locator(".questions").wait_for()
    examine("refusal")
    for dialog in ("letters", "add"):
        page.click(f"#show-{dialog}")
        page.wait_for_timeout(200)
        examine(dialog)
        page.keyboard.press("Escape")
    turn.locator(".source").click()
    marked(page)
    examine("letter")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_nothing_on_the_page_is_made_from_text():
    """No way from text to HTML or code in any module of the page."""
    ways = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "http://",
        "https://",
    )
    for path in (Path(__file__).parent.parent / "rag" / "web").glob("*.js"):
        assert [w for w in ways if w in path.read_text(encoding="utf-8")] == []


def test_without_letters_the_page_offers_to_add_one_and_then_answers(chromium, tmp_path, embedder):
    (tmp_path / "seeds").mkdir()
    settings = Settings(
        index_dir=tmp_path / "index",
        seeds_dir=tmp_path / "seeds",
        keys_file=tmp_path / "keys.json",
        requests_per_minute=0,
        _env_file=None,
    )
    update(settings.index_dir, [], embedder)
    _, key = Keys(settings.keys_file).new()
    (tmp_path / "new.txt").write_text("某市园林局的答复\n一、建公园。建成社区公园37处。\n", encoding="utf-8")
    with serving(create_app(settings, embedder)) as address:
        page = chromium.new_context(locale="zh-CN").new_page()
        page.goto(address)
        expect(page.locator("#starters")).to_contain_text("还没有复函")
        turn = ask(page, "社区公园建了多少处?")
        expect(turn).to_contain_text("还没有收入任何复函。")
        turn.get_by_role("button", name="添加复函").click()
        page.fill("#key", key)
        page.set_input_files("#files", str(tmp_path / "new.txt"))
        page.get_by_role("button", name="问这封").click()
        expect(ask(page, "社区公园建了多少处?").locator(".short")).to_have_text("37处")
        page.context.close()
