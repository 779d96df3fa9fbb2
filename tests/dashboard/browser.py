"""Looks at the dashboard in Chromium, as people do. Called by browser.rs.

usage: browser.py look   ADDRESS TOKEN PICTURES NAME=LINK=REPORT…
       browser.py follow ADDRESS TOKEN PICTURES LINK

Pictures are taken of everything; whatever is wrong is printed, and the exit status is 1.
"""

import os
import pathlib
import shutil
import sys
import time

from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which(os.environ.get("CHROMIUM_BIN", "chromium"))

# Text that cannot be read: the contrast of each piece of text with what is behind it (WCAG 2.2, 1.4.3).
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const circle = e.tagName === "g" && e.querySelector(":scope > circle");
      layers.push(rgba(circle ? getComputedStyle(circle).fill : getComputedStyle(e).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const faint = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    if (!walk.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (["TITLE", "STYLE", "SCRIPT"].includes(element.tagName.toUpperCase())) continue;
    const ground = behind(element);
    const colour = over(rgba(element.ownerSVGElement ? style.fill : style.color), ground);
    const [a, b] = [light(colour), light(ground)].sort((a, b) => b - a);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      faint.add(`${walk.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)} (${style.color} on ${ground.map(Math.round)})`);
    }
  }
  return [...faint];
}"""

# What hangs over the edge, and text that is cut off.
WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const all = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 0.5);
  return [`${document.documentElement.scrollWidth} > ${room}`, ...all.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
}"""

# Labels of charts that lie on one another.
OVERLAPS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim() && t.checkVisibility())
      .map((t) => [t, t.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
    for (const [i, [a, p]] of texts.entries()) for (const [b, q] of texts.slice(i + 1)) {
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 2 && y > 4) found.push(`${a.textContent} on ${b.textContent} (${svg.getAttribute("aria-label") ?? ""})`);
    }
  }
  return found;
}"""

VIOLATIONS = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""


class Looker:
    """A browser, and all that it found wrong."""

    def __init__(self, play, address, token, pictures):
        self.browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        self.address, self.token, self.pictures = address, token, pathlib.Path(pictures)
        self.wrong = []

    def visit(self, name, **options):
        """A page of a browser of its own, with somebody signed in."""
        context = self.browser.new_context(**options)
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and self.wrong.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: self.wrong.append(f"script: {e}"))
        page.goto(self.address + "/")
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Token").fill(self.token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(self.address + "/")
        return page

    def check(self, page, where):
        for what, script in [("hangs over", WIDE), ("is faint", FAINT), ("overlaps", OVERLAPS)]:
            self.wrong += [f"{where}: {what}: {found}" for found in page.evaluate(script)]
        self.wrong += [f"{where}: policy: {found}" for found in page.evaluate("window.violations ?? []")]

    def shoot(self, page, name, live=False):
        """Every page in light and dark, wide and narrow, and on paper."""
        for scheme in ("light", "dark"):
            for width, form in ((1280, "wide"), (390, "narrow")):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme, media="screen")
                where = f"{name}-{form}-{scheme}"
                self.check(page, where)
                page.screenshot(path=self.pictures / f"{where}.png", full_page=True)
        # A4 with margins of 1 cm, at 96 dots an inch. Paper is white, whatever the screen is.
        page.set_viewport_size({"width": 718, "height": 1047})
        page.emulate_media(color_scheme="dark", media="print")
        self.check(page, f"{name}-print")
        page.screenshot(path=self.pictures / f"{name}-print.png", full_page=True)
        page.pdf(path=self.pictures / f"{name}.pdf", format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "1cm"))
        page.emulate_media(color_scheme="light", media="screen")

    def end(self):
        self.browser.close()
        print("\n".join(dict.fromkeys(self.wrong)))
        return 1 if self.wrong else 0


def look(looker, *things):
    page = looker.visit("Ada Lovelace")
    expect(page.locator("#live")).to_have_text("Live")
    looker.shoot(page, "overview")
    for thing in things:
        name, link, report = thing.split("=", 1)[0], thing.split("=", 1)[1].rsplit("=", 1)[0], thing.rsplit("=", 1)[1]
        page.goto(looker.address + link)
        expect(page.locator("#live")).to_have_text("Live")
        looker.shoot(page, f"rollout-{name}")
        paper = page.context.new_page()
        paper.goto(f"file://{report}")
        looker.shoot(paper, f"report-{name}")
        paper.close()
    stranger = looker.browser.new_context().new_page()
    stranger.goto(looker.address + "/")
    looker.shoot(stranger, "sign-in")
    reach(looker, page, things)
    return looker.end()


def reach(looker, page, things):
    """Everything that can be pressed can be reached by the keyboard, and shows that it was."""
    gate = next(thing for thing in things if thing.startswith("gate="))
    page.goto(looker.address + gate.split("=", 1)[1].rsplit("=", 1)[0])
    expect(page.locator("#live")).to_have_text("Live")
    page.set_viewport_size({"width": 1280, "height": 900})
    pressable = "a[href], button:not([disabled]), input:not([type=hidden]), summary"
    wanted = page.locator(pressable).count()
    page.evaluate("document.activeElement?.blur()")
    reached = set()
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """(pressable) => {
              const at = document.activeElement, style = getComputedStyle(at);
              const all = [...document.querySelectorAll(pressable)];
              return [all.indexOf(at), at.outerHTML.slice(0, 80), style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
            }""",
            pressable,
        )
        if seen[0] >= 0:
            reached.add(seen[0])
            if not seen[2]:
                looker.wrong.append(f"keyboard: {seen[1]} does not show its focus")
    if len(reached) < wanted:
        looker.wrong.append(f"keyboard: only {len(reached)} of {wanted} can be reached")
    # Enter in the reason chooses nothing.
    page.get_by_label("With a reason").fill("because")
    page.get_by_label("With a reason").press("Enter")
    if "/rollout" not in page.url or not page.get_by_role("button", name="Abort").is_visible():
        looker.wrong.append("keyboard: Enter in the reason pressed a button")


def follow(looker, link):
    page = looker.visit("Ada Lovelace")
    page.goto(looker.address + link)
    expect(page.locator("#live")).to_have_text("Live")
    shown = lambda: int(page.locator("#now").inner_text().split("Record ")[1].split(",")[0])
    navigations = []
    page.on("framenavigated", lambda frame: navigations.append(frame.url))
    # What was written into a form stays when the page changes under it, and so does the focus.
    reason = page.get_by_label("With a reason")
    reason.fill("seen")
    before, begun = shown(), time.monotonic()
    expect(page.get_by_text("It is judging the candidate")).to_be_visible(timeout=60_000)
    while shown() < before + 3 and time.monotonic() < begun + 60:
        page.wait_for_timeout(100)
    if shown() < before + 3:
        looker.wrong.append("records were written, but the page does not show them")
    if navigations:
        looker.wrong.append(f"the page was loaded again: {navigations}")
    if reason.input_value() != "seen" or not reason.evaluate("e => e === document.activeElement"):
        looker.wrong.append("what was being written was lost")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#now .badge")).to_have_text("paused")
    expect(page.get_by_text("It does not go on, since somebody holds it.").first).to_be_visible()
    looker.check(page, "paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#now .badge")).to_have_text("under way")

    # Without scripts forms are forms, and the other page hears of it.
    plain = looker.visit("Without Script", java_script_enabled=False)
    plain.goto(looker.address + link)
    plain.get_by_role("button", name="Pause").click()
    expect(plain.locator("#now .badge")).to_have_text("paused")
    expect(page.locator("#now .badge")).to_have_text("paused", timeout=4_000)

    # A page in a browser that was offline catches up.
    page.context.set_offline(True)
    expect(page.locator("#live")).to_contain_text("Trying again", timeout=20_000)
    page.context.set_offline(False)
    expect(page.locator("#live")).to_have_text("Live", timeout=30_000)
    looker.wrong = [wrong for wrong in looker.wrong if "ERR_INTERNET_DISCONNECTED" not in wrong]

    page.get_by_label("With a reason").fill("seen enough")
    page.get_by_role("button", name="Abort").click()
    expect(page.get_by_text("returning traffic").or_(page.get_by_text("rolled back")).first).to_be_visible()
    page.wait_for_timeout(3_000)
    page.screenshot(path=looker.pictures / "followed.png", full_page=True)
    return looker.end()


def main():
    if not CHROMIUM:
        sys.exit("there is no Chromium; install chromium, or name it by CHROMIUM_BIN")
    act, address, token, pictures, *rest = sys.argv[1:]
    with sync_playwright() as play:
        return {"look": look, "follow": follow}[act](Looker(play, address, token, pictures), *rest)


if __name__ == "__main__":
    sys.exit(main())
