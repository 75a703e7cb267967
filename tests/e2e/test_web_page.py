"""The page of the web chat in a real browser."""
import json
import re

import pytest

from harness.browser import ALT, CONTROL, SHIFT, Browser
from harness.wait import stays, wait_until

DONE = "article.answer:not(.growing) .body"
NOISE = re.compile(r"net::ERR_|WebSocket connection to|status of (401|404|429|503)")  # of a gateway that is away, or says no


@pytest.fixture(scope="session")
def browser():
    one = Browser()
    yield one
    one.close()


@pytest.fixture
def gateway(world):
    return world.gateway(None, chat={"lease": "1s"}).start()


@pytest.fixture
def open_page(browser):
    """Opens pages; at the end none of them may have complained: no exception, nothing refused by the policy."""
    pages = []

    def opened(url, **more):
        pages.append(browser.page(url, **more))
        return pages[-1]
    yield opened
    for page in pages:
        errors = [e for e in page.errors if not NOISE.search(e)]
        page.close()
        assert not errors


@pytest.fixture
def page(gateway, open_page):
    one = open_page(gateway.url)
    wait_until(lambda: is_connected(one), what="the page is connected")
    return one


def is_connected(page):
    return page.js("document.body?.dataset.link") == "open"


def write(page, text):
    page.focus("#text")
    page.type(text)
    page.press("Enter")


def ask(page, text):
    """Write something, and wait for the whole answer."""
    n = len(page.texts(DONE))
    write(page, text)
    wait_until(lambda: len(page.texts(DONE)) > n, what=f"the answer to {text!r}")


def own(page):
    return page.texts("article.own .bubble")


def threads(page):
    return page.texts("#threads .name")


def hash_of(page):
    return page.js("location.hash")


# --- the main job ------------------------------------------------------------------------------------------------

def test_a_message_is_answered_before_ones_eyes(world, page):
    world.model.on("story", world.model.stream(["Once ", "upon ", "a ", "**time**"], pause=0.3))
    write(page, "a story")
    wait_until(lambda: (page.text("article.growing .body") or "").startswith("Once upon"))
    assert page.texts(DONE) == [] and own(page) == ["a story"]
    wait_until(lambda: page.texts(DONE) == ["Once upon a time"])
    assert page.text(f"{DONE} strong") == "time"
    assert page.texts("article.growing, .waiting") == []
    assert page.js("document.activeElement.id") == "text", "one can go on writing"
    world.wait_settled(1)


def test_thumbs_and_an_answer_anew(world, page):
    write(page, "hello")
    wait_until(lambda: page.texts(DONE) == ["echo: hello"])
    world.wait_settled(1)
    page.click("article.answer [data-vote='1']")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    page.click("article.answer [data-vote='-1']")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(-1,)])
    page.click("article.answer [data-vote='-1']")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [])
    page.click("article.answer [data-again]")
    wait_until(lambda: page.texts(DONE) == ["echo: hello", "echo: hello"], what="the answer anew")


def test_what_waits_can_be_changed_and_taken_back(world, page):
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=3.0))
    write(page, "slow")
    wait_until(lambda: "slow" in (page.text("article.growing .body") or ""))
    write(page, "secnod")
    write(page, "third")
    waiting = "article.own[data-state='waiting']"
    wait_until(lambda: page.texts(f"{waiting} .bubble") == ["secnod", "third"])
    page.js(f"document.querySelectorAll(\"{waiting}\")[1].querySelectorAll('button')[1].click()")
    wait_until(lambda: own(page) == ["slow", "secnod"])
    page.reload()  # what waits is known from the history, too
    wait_until(lambda: page.texts(f"{waiting} .bubble") == ["secnod"])
    page.click(f"{waiting} button")
    page.js("document.querySelector('article.own textarea').value = 'second'")
    page.focus("article.own textarea")
    page.press("Enter")
    wait_until(lambda: own(page) == ["slow", "second"])
    wait_until(lambda: page.texts(DONE) == ["slow answer", "echo: second"])
    assert page.texts(waiting) == []


def attach(page, name, kind, content):
    page.js(f"""(() => {{
      const files = new DataTransfer(), input = document.getElementById("files");
      files.items.add(new File([{content}], {name!r}, {{ type: {kind!r} }}));
      input.files = files.files;
      input.dispatchEvent(new Event("change"));
    }})()""")
    wait_until(lambda: name in page.texts("#chips li:not(.busy)"), what=f"{name} is attached")


def test_files_go_along(world, page):
    attach(page, "cat.png", "image/png", "new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0])")
    attach(page, "notes.txt", "text/plain", "'uses ``` fences'")
    attach(page, "wrong.txt", "text/plain", "'a mistake'")
    page.click("#chips li:last-child button")
    assert page.texts("#chips li") == ["cat.png", "notes.txt"]
    write(page, "what is this?")
    shown = "what is this?\n\nnotes.txt:\n````\nuses ``` fences\n````\n[attached: photo cat.png]"
    wait_until(lambda: own(page) == [shown])
    assert page.texts("#chips li") == []
    wait_until(lambda: page.texts(DONE))
    page.reload()
    wait_until(lambda: own(page) == [shown], what="the same from the history")
    assert world.one("SELECT count(*) FROM attachments WHERE sent_at IS NOT NULL") == 1
    page.js("document.getElementById('attach').click()")


def test_a_reload_shows_the_history(page):
    ask(page, "one")
    ask(page, "two")
    page.reload()
    wait_until(lambda: page.texts(DONE) == ["echo: one", "echo: two"])
    assert own(page) == ["one", "two"]
    assert threads(page) == ["one"]


def test_a_reload_in_the_middle_of_an_answer(world, page):
    world.model.on("story", world.model.stream([f"word{n} " for n in range(20)], pause=0.1))
    write(page, "a story")
    wait_until(lambda: "word2" in (page.text("article.growing .body") or ""))
    page.reload()
    wait_until(lambda: (page.text("article.growing .body") or "").startswith("word0 word1 word2"))
    wait_until(lambda: page.texts(DONE) == [" ".join(f"word{n}" for n in range(20))])
    assert own(page) == ["a story"]


def test_conversations_are_apart(page):
    ask(page, "about cats")
    first = hash_of(page)
    page.click("#new")
    assert own(page) == [] and hash_of(page) == ""
    ask(page, "about dogs")
    wait_until(lambda: threads(page) == ["about dogs", "about cats"])
    page.click("#threads li:last-child a")
    wait_until(lambda: page.texts(DONE) == ["echo: about cats"])
    assert hash_of(page) == first and own(page) == ["about cats"]
    page.js("history.back()")
    wait_until(lambda: own(page) == ["about dogs"])


def test_conversations_can_be_found_renamed_pinned_and_removed(world, page):
    for text in ("about cats", "about dogs", "about mice"):
        page.click("#new")
        ask(page, text)
    page.focus("#search")
    page.type("DOGS")
    wait_until(lambda: threads(page) == ["about dogs"])
    page.press("Escape")
    wait_until(lambda: len(threads(page)) == 3)

    page.click("#threads li:last-child [aria-label=Rename]")
    page.type("<b>Felines</b>")
    page.press("Enter")
    wait_until(lambda: threads(page) == ["about mice", "about dogs", "<b>Felines</b>"])
    page.click("#threads li:last-child [aria-label=Pin]")
    wait_until(lambda: threads(page) == ["<b>Felines</b>", "about mice", "about dogs"])

    page.click("#threads li:nth-child(2) [aria-label=Remove]")
    assert page.text("#confirm-name") == "about mice"
    page.click("#confirm [value=yes]")
    wait_until(lambda: threads(page) == ["<b>Felines</b>", "about dogs"])
    assert own(page) == [], "it was the one in sight"
    page.reload()
    wait_until(lambda: threads(page) == ["<b>Felines</b>", "about dogs"])
    assert world.one("SELECT count(*) FROM conversations WHERE is_hidden") == 1, "the database forgets nothing"


def test_two_tabs_see_the_same(world, gateway, page, open_page):
    ask(page, "hello")
    other = open_page(gateway.url + "/" + hash_of(page), beside=page)
    wait_until(lambda: other.texts(DONE) == ["echo: hello"])
    world.model.on("story", world.model.stream(["Once ", "upon ", "a time"], pause=0.3))
    write(page, "a story")
    wait_until(lambda: own(other) == ["hello", "a story"])
    wait_until(lambda: (other.text("article.growing .body") or "").startswith("Once"))
    for tab in (page, other):
        wait_until(lambda: tab.texts(DONE) == ["echo: hello", "Once upon a time"])
        assert own(tab) == ["hello", "a story"]
    other.click("#threads [aria-label=Remove]")
    other.click("#confirm [value=yes]")
    wait_until(lambda: own(page) == [] and threads(page) == [])


def test_earlier_messages_come_by_scrolling_up(world, page):
    ask(page, "the beginning")
    conversation = world.one("SELECT id FROM conversations")
    world.sql("""INSERT INTO messages (id, conversation_id, user_id, role, content)
                 SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 10 + n), 12, '0') || '70008000' || lpad(n::text, 12, '0'))::uuid,
                        c.id, c.user_id, 'user', 'message ' || n
                 FROM generate_series(1, 170) n, conversations c WHERE c.id = %s""", conversation)
    page.reload()
    wait_until(lambda: own(page)[-1:] == ["message 170"])
    assert len(own(page)) == 50
    up = "document.querySelector('#scroll').scrollTop = 0"
    wait_until(lambda: page.js(up) or page.js("document.querySelector('#older').hidden"))
    wait_until(lambda: len(own(page)) == 171, what=f"{own(page)}")
    assert own(page) == ["the beginning"] + [f"message {n}" for n in range(1, 171)]
    assert page.js("document.querySelector('#older').hidden")


# --- losing nothing, repeating nothing ---------------------------------------------------------------------------

def test_the_gateway_is_killed_while_it_answers(world, gateway, page):
    ask(page, "first")
    world.model.on("story", world.model.stream([f"word{n} " for n in range(15)], pause=0.15))
    write(page, "a story")
    wait_until(lambda: "word3" in (page.text("article.growing .body") or ""))
    gateway.kill()
    wait_until(lambda: not page.js("document.querySelector('#banner').hidden"), what="the banner")
    gateway.start()
    wait_until(lambda: is_connected(page), 40)
    whole = " ".join(f"word{n}" for n in range(15))
    wait_until(lambda: page.texts(DONE) == ["echo: first", whole], 40)
    assert page.js("document.querySelector('#banner').hidden")
    assert own(page) == ["first", "a story"] and page.texts("article.growing, .waiting") == []
    stays(lambda: page.texts(DONE) == ["echo: first", whole], 1)
    page.reload()
    wait_until(lambda: page.texts(DONE) == ["echo: first", whole])
    assert world.one("SELECT count(*) FROM messages WHERE role = 'assistant'") == 2


def test_what_is_written_while_the_gateway_is_away(world, gateway, page):
    ask(page, "first")
    gateway.kill()
    for text in ("second", "third", "fourth"):
        write(page, text)
    wait_until(lambda: own(page) == ["first", "second", "third", "fourth"])
    wait_until(lambda: page.texts("article.own footer")[1:] == ["Sending…"] * 3)
    gateway.start()
    echoes = [f"echo: {t}" for t in ("first", "second", "third", "fourth")]
    wait_until(lambda: page.texts(DONE) == echoes, 40)
    assert own(page) == ["first", "second", "third", "fourth"]
    assert world.one("SELECT count(*) FROM requests") == 4


def test_what_was_not_sent_survives_the_tab(world, gateway, page, open_page):
    ask(page, "first")
    thread = hash_of(page)
    gateway.kill()
    write(page, "second")
    page.call("Page.navigate", url="about:blank")
    gateway.start()
    later = open_page(gateway.url, beside=page)
    world.wait_settled(2)
    assert own(later) == [], "another conversation is in sight"
    later.go(gateway.url + "/" + thread)
    wait_until(lambda: later.texts(DONE) == ["echo: first", "echo: second"])
    assert own(later) == ["first", "second"]


def test_the_answer_to_a_message_whose_acceptance_was_lost(world, gateway, page):
    """It was stored, the gateway died, nobody said so: the page sends it again, under the same id."""
    ask(page, "first")
    gateway.kill()
    gateway.start(PARLEY_ABORT_AT="intake.store.done")
    wait_until(lambda: is_connected(page), 40)
    write(page, "second")
    gateway.wait_killed()
    gateway.start()
    wait_until(lambda: page.texts(DONE) == ["echo: first", "echo: second"], 40)
    assert own(page) == ["first", "second"]
    assert world.one("SELECT count(*) FROM requests") == 2


def test_a_drained_gateway_is_followed_by_the_next(world, gateway, page):
    world.model.on("slow", world.model.stream(["still ", "there"], pause=1))
    write(page, "slow")
    wait_until(lambda: page.texts("article.growing"))
    assert gateway.stop() == 0
    gateway.start()
    write(page, "second")
    wait_until(lambda: page.texts(DONE) == ["still there", "echo: second"], 40)


def test_postgres_away(own_world, open_page):
    gateway = own_world.gateway(None).start()
    page = open_page(gateway.url)
    wait_until(lambda: is_connected(page))
    ask(page, "first")
    own_world.servers.kill_postgres()
    write(page, "second")
    wait_until(lambda: "database does not answer" in page.text("#hint"), 60)
    assert page.texts("article.own footer")[-1] == "Sending…"
    page.reload()
    wait_until(lambda: is_connected(page))
    own_world.servers.start("postgres")
    wait_until(lambda: page.texts(DONE) == ["echo: first", "echo: second"], 60)
    assert own(page) == ["first", "second"] and page.text("#hint") == ""


def test_a_text_too_long_to_be_sent(world, open_page):
    gateway = world.gateway(None)
    gateway.settings["channels"][0]["frame_max"] = "4KB"
    page = open_page(gateway.start().url)
    wait_until(lambda: is_connected(page))
    write(page, "x" * 5000)
    assert page.text("#hint") == "This is too long to be sent." and own(page) == []
    page.js("document.querySelector('#text').value = ''")
    ask(page, "short")


# --- what models write is text -----------------------------------------------------------------------------------

ATTACKS = [
    "<img src=x onerror=window.hurt=1>",
    "<script>window.hurt=1</script>",
    "[click](javascript:window.hurt=1)",
    "[click](JaVaScRiPt:window.hurt=1)",
    "[click](java\tscript:window.hurt=1)",
    "[click](&#106;avascript:window.hurt=1)",
    "[click](data:text/html,<script>opener.hurt=1</script>)",
    "[click](vbscript:hurt)",
    "[click](//evil.example/)",
    "[click](/session)",
    "![x](javascript:window.hurt=1)",
    "![x](x\"onerror=\"window.hurt=1)",
    "[a](https://example.org/\"onclick=\"window.hurt=1)",
    "[a](https://example.org \"x\" onclick=\"window.hurt=1\")",
    "<javascript:window.hurt=1>",
    "<https://example.org/\"onmouseover=window.hurt=1>",
    "```<img src=x onerror=window.hurt=1>\n<svg onload=window.hurt=1>\n```",
    "`<svg onload=window.hurt=1>`",
    "# <svg onload=window.hurt=1>",
    "| <svg onload=window.hurt=1> | b |\n|--|--|\n| <iframe srcdoc='<script>parent.hurt=1</script>'> | c |",
    "- <details open ontoggle=window.hurt=1>",
    "> <style>*{display:none}</style>",
    "<a href=\"javascript:window.hurt=1\" onclick=\"window.hurt=1\">x</a>",
    "<div style=\"position:fixed;inset:0\">x</div>",
    "&lt;img src=x onerror=window.hurt=1&gt;",
    "[x][y]\n\n[y]: javascript:window.hurt=1",
]


@pytest.fixture
def draw(page):
    """Draws Markdown as the page does: the HTML that comes out, as Chromium prints it."""
    def drawn(text):
        return page.js("""(async (text) => {
            const { Markdown } = await import("/assets/markdown.js");
            const e = document.createElement("div");
            document.body.append(e);
            new Markdown(e).update(text);
            const html = e.innerHTML;
            e.querySelectorAll("a").forEach((a) => { a.removeAttribute("target"); });
            setTimeout(() => e.remove(), 50);
            return html;
        })(%s)""" % json.dumps(text))
    return drawn


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_text_becomes_markup(page, draw, attack):
    html = draw(attack)
    page.js("""document.querySelectorAll("#log a").forEach((a) => a.dispatchEvent(new MouseEvent("mouseover")))""")
    tags = set(re.findall(r"<([a-z0-9]+)", html))
    assert tags <= {"p", "a", "code", "pre", "figure", "figcaption", "span", "button", "h3", "div", "table", "thead", "tbody",
                    "tr", "th", "td", "ul", "li", "blockquote", "br"}
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', html))
    for href in re.findall(r'<a [^>]*href="([^"]*)"', html):
        assert re.match(r"https?://|mailto:", href)
    assert page.js("window.hurt === undefined")


def test_attacks_through_the_whole_gateway(world, page):
    text = "\n\n".join(ATTACKS)
    world.model.on("attack", world.model.stream([text[i:i + 7] for i in range(0, len(text), 7)]))
    write(page, "attack <img src=x onerror=window.hurt=1>")
    wait_until(lambda: page.texts(DONE), 30)
    assert page.texts("#log img, #log script, #log svg[onload], #log iframe, #log style, #threads img") == []
    assert own(page) == ["attack <img src=x onerror=window.hurt=1>"] and threads(page) == own(page)
    assert "<img src=x onerror=window.hurt=1>" in page.text(DONE)
    assert page.js("window.hurt === undefined")
    page.js("document.querySelectorAll('#log .answer a').forEach((a) => a.removeAttribute('target'))")
    assert page.js("[...document.querySelectorAll('#log a')].every((a) => /noopener/.test(a.rel))")


LINK = 'target="_blank" rel="noopener noreferrer nofollow"'
DRAWN = [
    ("plain", "<p>plain</p>"),
    ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
    ("*a* **b** ***c*** _d_ __e__ ~~f~~", "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em> <em>d</em> <strong>e</strong> <del>f</del></p>"),
    ("snake_case_name and 2 * 3 * 4 and ~5", "<p>snake_case_name and 2 * 3 * 4 and ~5</p>"),
    ("**a *b* c** and **unfinished", "<p><strong>a <em>b</em> c</strong> and **unfinished</p>"),
    ("`a * b` ``c ` d`` `unfinished", "<p><code>a * b</code> <code>c ` d</code> `unfinished</p>"),
    (r"\*no\* \`no\` \[no\](x)", "<p>*no* `no` [no](x)</p>"),
    ("[a *b*](https://example.org/x_(y) \"t\")", f'<p><a href="https://example.org/x_(y)" {LINK} title="t">a <em>b</em></a></p>'),
    ("see https://example.org/a_b?c=d&e. Or (https://example.org)!",
     f'<p>see <a href="https://example.org/a_b?c=d&amp;e" {LINK}>https://example.org/a_b?c=d&amp;e</a>. '
     f'Or (<a href="https://example.org/" {LINK}>https://example.org</a>)!</p>'),
    ("<mailto:a@example.org>", f'<p><a href="mailto:a@example.org" {LINK}>mailto:a@example.org</a></p>'),
    ("a &amp; b &#8364; &nosuch;", "<p>a &amp; b € &amp;nosuch;</p>"),
    ("# A\n### B ###\n####### no", '<h3 class="level-1">A</h3><h5 class="level-3">B</h5><p>####### no</p>'),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("> a\n> > b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
    ("- a\n- b\n  - c\n    1. d\n- e", '<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c</p><ol><li><p>d</p></li></ol></li></ul></li><li><p>e</p></li></ul>'),
    ("3. a\n4. b", '<ol start="3"><li><p>a</p></li><li><p>b</p></li></ol>'),
    ("1. a\n   more\n\n   again\n2. b", '<ol class="loose"><li><p>a<br>more</p><p>again</p></li><li><p>b</p></li></ol>'),
    ("text\n- a\n\ntext", "<p>text</p><ul><li><p>a</p></li></ul><p>text</p>"),
    ("It was\n2026. What a year", "<p>It was<br>2026. What a year</p>"),
    ("- [x] a\n- [ ] b", '<ul><li class="task"><input type="checkbox" disabled=""><p>a</p></li><li class="task"><input type="checkbox" disabled=""><p>b</p></li></ul>'),
    ("- a\n\n- b", '<ul><li><p>a</p></li><li><p>b</p></li></ul>'),
    ("|a|b|\n|:-:|--:|\n|`x|y`|2\\|3|\n|1|", '<div class="table" tabindex="0"><table><thead><tr><th class="center">a</th><th class="right">b</th></tr></thead>'
     '<tbody><tr><td class="center"><code>x|y</code></td><td class="right">2|3</td></tr><tr><td class="center">1</td><td class="right"></td></tr></tbody></table></div>'),
    ("a | b", "<p>a | b</p>"),
]


@pytest.mark.parametrize("text, html", DRAWN, ids=[t[:20] for t, _ in DRAWN])
def test_markdown(draw, text, html):
    assert draw(text).replace(' class=""', "") == html


def test_code_is_kept_as_it_is(draw):
    html = draw("1. do\n   ```sh\n   a  <b>\n\n     *c*\n   ```\n2. done\n\n~~~\n```\n~~~\n\n```py\nunfinished")
    assert re.findall(r"<code>(.*?)</code>", html, re.S) == ["a  &lt;b&gt;\n\n  *c*", "```", "unfinished"]
    assert html.startswith("<ol") and html.count("<li>") == 2


# Each as long as n wants it.
HARD = {
    "stars": lambda n: "*" * n,
    "strong": lambda n: "**a " * (n // 4),
    "stars that close": lambda n: "a* " * (n // 3),
    "brackets": lambda n: "[" * n,
    "links": lambda n: "[a](" * (n // 4),
    "ticks": lambda n: "`" * (n // 2 - 1) + " " + "``` " * (n // 8),
    "quotes": lambda n: "> " * (n // 2),
    "items": lambda n: "- " * (n // 2),
    "heading": lambda n: "#" + " " * n + "x",
    "table": lambda n: "|" + " " * n + "x\n|-" + " " * n + "x",
    "address": lambda n: "https://x" + ")" * n,
    "address of dots": lambda n: "https://x" + "." * n + "x",
    "line of spaces": lambda n: "a" + " " * n + "\nb",
    "fence": lambda n: "```" + " " * n + "`",
    "entities": lambda n: "&#" * (n // 2),
    "less-than": lambda n: "<" * n,
    "underscores": lambda n: "_a" * (n // 2),
    "deep list": lambda n: "\n".join(" " * (k % 60) + "- x" for k in range(n // 32)),
    "long list": lambda n: "- x\n" * (n // 4),
    "struck": lambda n: "~~" * (n // 2) + "a",
    "rule of stars": lambda n: "* " * (n // 2),
    "rule": lambda n: "-" * n + "x",
}


@pytest.mark.parametrize("hard", HARD)
def test_no_text_keeps_the_page_busy(page, draw, hard):
    """Eight times the text takes about eight times as long: 64 times would be the square. Both in one run, in turns, the
    best of several each, so that a busy machine slows both."""
    short, long = page.js("""(async (texts) => {
        const { Markdown } = await import("/assets/markdown.js");
        const best = [Infinity, Infinity], enough = performance.now() + 10000;
        for (let round = 0; round < 20 && performance.now() < enough; round++)
            texts.forEach((text, i) => {
                const repeat = i ? 1 : 8, began = performance.now();
                for (let k = 0; k < repeat; k++) new Markdown(document.createElement("div")).update(text);
                best[i] = Math.min(best[i], performance.now() - began);
            });
        return best;
    })(%s)""" % json.dumps([HARD[hard](8000), HARD[hard](64000)]))
    print(f"8 x 8,000: {short:.1f} ms, 64,000: {long:.1f} ms")
    assert long < 4 * short + 5


# --- keys, screens, colours --------------------------------------------------------------------------------------

def test_keys(world, page):
    page.focus("#text")
    page.type("line 1")
    page.press("Enter", SHIFT)
    page.type("line 2")
    page.press("Enter")
    wait_until(lambda: own(page) == ["line 1\nline 2"])
    wait_until(lambda: len(page.texts(DONE)) == 1)
    page.press("ArrowUp")
    assert page.js("document.querySelector('#text').value") == "line 1\nline 2", "the last message, to change and send again"
    page.js("document.querySelector('#text').value = ''")

    page.press("k", CONTROL)
    assert own(page) == [] and page.js("document.activeElement.id") == "text"
    ask(page, "second")
    page.press("ArrowDown", ALT)
    wait_until(lambda: own(page) == ["line 1\nline 2"])
    page.press("ArrowUp", ALT)
    wait_until(lambda: own(page) == ["second"])

    page.focus("#search")
    page.press("ArrowDown")
    assert page.js("document.activeElement.innerText.trim()") == "second"
    page.press("ArrowDown")
    page.press("Enter")
    wait_until(lambda: own(page) == ["line 1\nline 2"])


@pytest.mark.parametrize("how", ["Escape", "#stop"])
def test_an_answer_can_be_stopped(world, page, how):
    world.model.on("for ever", world.model.endless(pause=0.05))
    write(page, "go on for ever")
    wait_until(lambda: "more and" in (page.text("article.growing .body") or ""))
    if how == "Escape":
        page.press("Escape")
    else:
        page.click("#stop")
    wait_until(lambda: any("(stopped)" in text for text in page.texts(DONE)))
    wait_until(lambda: page.js("document.querySelector('#stop').hidden"))
    assert page.texts("article.growing, .waiting") == []
    world.wait_settled(2)


def test_commands_are_answered(page):
    ask(page, "/help")
    assert "/model" in page.text(DONE)
    assert page.js("!!document.querySelector('article.own.command') && !!document.querySelector('article.answer.notice')")


@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_screen(gateway, open_page, world, width):
    page = open_page(gateway.url, width=width, height=640)
    world.model.on("wide", world.model.stream(["| a | b |\n|--|--|\n| " + "wide " * 40 + "| x |\n\n```\n" + "x" * 500 + "\n```\n\n" + "y" * 500]))
    ask(page, "wide " + "z" * 300)
    assert page.js("document.documentElement.scrollWidth") <= width
    assert page.js("[...document.querySelectorAll('#log > *')].every((e) => e.getBoundingClientRect().right <= innerWidth)")
    hidden = "getComputedStyle(document.querySelector('#sidebar')).visibility === 'hidden'"
    assert page.js(hidden)
    page.click("#menu")
    wait_until(lambda: not page.js(hidden))
    page.press("Escape")
    wait_until(lambda: page.js(hidden))
    assert page.js("document.activeElement.id") == "menu"
    page.click("#menu")
    page.click("#threads a")
    wait_until(lambda: page.js(hidden))


def test_light_and_dark(gateway, open_page):
    def light(page):
        colour = page.js("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert light(open_page(gateway.url)) > 200 and light(open_page(gateway.url, dark=True)) < 60


def test_one_stays_where_one_reads(world, page):
    """An answer that comes in below does not move what is in sight; who writes wants to see it."""
    top, submit = "document.querySelector('#scroll').scrollTop", "document.querySelector('#composer').requestSubmit()"
    world.model.on("long", world.model.stream(["line\n\n"] * 60))
    ask(page, "long")
    assert page.js("document.querySelector('#latest').hidden")
    world.model.on("more", world.model.stream(["line\n\n"] * 30, pause=0.05))
    write(page, "more")
    wait_until(lambda: page.texts("article.growing"))

    def is_away(y):  # what was drawn just now may have taken them to the end once more
        page.js(f"document.querySelector('#scroll').scrollTo(0, {y})")
        return not page.js("document.querySelector('#latest').hidden")

    wait_until(lambda: is_away(300))
    wait_until(lambda: len(page.texts(DONE)) == 2)
    assert page.js(top) == 300
    page.js(f"document.querySelector('#text').value = 'another'; {submit}")
    wait_until(lambda: len(page.texts(DONE)) == 3)
    assert page.js("(s => s.scrollHeight - s.clientHeight - s.scrollTop)(document.querySelector('#scroll'))") < 5
    wait_until(lambda: is_away(10))
    page.click("#latest")
    wait_until(lambda: page.js("document.querySelector('#latest').hidden"))


def test_a_draft_is_kept(page):
    ask(page, "first")
    page.focus("#text")
    page.type("half a thou")
    page.click("#new")
    assert page.js("document.querySelector('#text').value") == ""
    page.reload()
    page.js("history.back()")
    wait_until(lambda: own(page) == ["first"])
    wait_until(lambda: page.js("document.querySelector('#text').value") == "half a thou")


# --- by invitation -----------------------------------------------------------------------------------------------

@pytest.fixture
def guarded(world):
    gateway = world.gateway(None, http={"address": "0.0.0.0"})
    gateway.settings["channels"][0]["key"] = "env:WEB_KEY"
    gateway.env["WEB_KEY"] = "a-long-enough-key"
    return gateway.start()


def test_the_invite_link(guarded, open_page):
    page = open_page(guarded.url)
    assert "invite is needed" in page.text()
    page.go(guarded.url + "/?key=a-long-enough-key")
    wait_until(lambda: is_connected(page))
    assert "key" not in page.js("location.href")
    ask(page, "hello")
    page.reload()
    wait_until(lambda: page.texts(DONE) == ["echo: hello"])


def test_the_key_can_be_typed(guarded, open_page):
    page = open_page(guarded.url)
    page.focus("#key")
    page.type("a-wrong-guess")
    page.press("Enter")
    wait_until(lambda: "a-wrong-guess" in page.js("location.href"))
    wait_until(lambda: page.js("document.readyState") == "complete")
    page.focus("#key")
    page.type("a-long-enough-key")
    page.press("Enter")
    wait_until(lambda: is_connected(page))
    assert page.js("location.search") == ""


@pytest.mark.parametrize("origin", ["https://chat.example.org", "chat.example.org"])
def test_an_origin_elsewhere_needs_a_key(world, origin):
    gateway = world.gateway(None)
    gateway.settings["channels"][0]["origins"] = [origin]
    done = gateway.run("serve")
    assert done.returncode == 2 and "origins" in done.stderr


def test_a_short_key_is_refused(world):
    gateway = world.gateway(None)
    gateway.settings["channels"][0]["key"] = "env:WEB_KEY"
    gateway.env["WEB_KEY"] = "too-short"
    done = gateway.run("serve")
    assert done.returncode == 2 and "key" in done.stderr and "too-short" not in done.stderr


def test_redis_knows_who_was_here(world, page):
    ask(page, "hello")
    [session] = world.redis.keys("session:" + world.one("SELECT place_channel FROM conversations"))
    assert world.redis.hget(session, "channel") == "web" and 29 * 86400 < world.redis.ttl(session) <= 30 * 86400


def test_guessing_is_slowed_down(guarded):
    statuses = [guarded.get(f"/?key=guess-{n}").status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert guarded.get("/?key=a-long-enough-key").status == 429, "not even the right one passes then"
