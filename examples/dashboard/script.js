// Keeps a page as its journals are. Without it the page works just as well, once loaded again.
"use strict";

(() => {
  const { page, events } = document.body.dataset;
  const live = document.getElementById("live");
  if (!page || !events || !live) return;

  const AGAIN = 5000;
  // Many records may come at once, and they make one new page.
  const GATHER = 150;
  let source, timer, address = events, loading = false, missed = false;

  const say = (words, state) => {
    if (live.textContent !== words) live.textContent = words;
    live.dataset.state = state;
  };

  // A browser has few connections to one server, so a page that nobody sees gives its own back.
  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(address);
    source.onopen = () => say("Live", "on");
    source.onerror = () => {
      say("Not connected. Trying again …", "off");
      // It comes back by itself, unless the server refused.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(() => (load(), open()), AGAIN);
    };
    source.addEventListener("record", () => {
      missed = true;
      clearTimeout(timer);
      timer = setTimeout(load, GATHER);
    });
    source.addEventListener("trouble", (event) =>
      say(`The journal of ${JSON.parse(event.data).route} cannot be read. Trying again …`, "off"));
  };

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };

  const load = async () => {
    if (loading) return;
    loading = true;
    try {
      do {
        missed = false;
        const answer = await fetch(page, { cache: "no-store", redirect: "manual" });
        // Signed out, or the session is over.
        if (answer.type === "opaqueredirect") return location.reload();
        if (!answer.ok) return say("This page could not be brought up to date. Trying again …", "off");
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        fresh.querySelectorAll("[data-part]").forEach(replace);
        address = fresh.body.dataset.events;
        if (source?.readyState === EventSource.OPEN) say("Live", "on");
      } while (missed);
    } catch {
      say("Not connected. Trying again …", "off");
    } finally {
      loading = false;
    }
  };

  // Puts a part in the place of the one before; what people have opened, written and focused stays.
  const replace = (fresh) => {
    const old = document.getElementById(fresh.id);
    const [was, is] = [old, fresh].map((part) => [...part.querySelectorAll("details")]);
    const open = was.map((details) => details.open);
    if (old.dataset.text === fresh.outerHTML) return;
    const text = fresh.outerHTML;
    is.forEach((details, at) => (details.open = open[at] ?? false));
    for (const input of old.querySelectorAll("input:not([type=hidden])")) {
      const same = input.id && fresh.querySelector(`#${input.id}`);
      if (same) same.value = input.value;
    }
    const focused = old.contains(document.activeElement) ? document.activeElement : undefined;
    const [start, end] = focused?.id ? [focused.selectionStart, focused.selectionEnd] : [];
    document.adoptNode(fresh);
    old.replaceWith(fresh);
    fresh.dataset.text = text;
    if (!focused) return;
    const selector = focused.id ? `#${focused.id}`
      : focused.tagName === "BUTTON" ? `button[value="${focused.value}"]` : undefined;
    const again = selector && fresh.querySelector(selector);
    again?.focus({ preventScroll: true });
    if (again && start !== undefined && start !== null) again.setSelectionRange(start, end);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else load().then(open);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && load().then(open));
  open();
})();
