// Keeps the page current: asks for it again and changes only what differs, so that scroll position, focus,
// unfolded parts and a selection stay as they are. Without this script the page reloads itself.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const LIMIT_MS = 8000;
  const live = document.getElementById("live");
  const told = document.getElementById("refresh");
  const assets = document.documentElement.dataset.assets;
  let timer = 0;
  let asking = false;

  const selected = (node) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(node, true);
  };

  // A visitor's own doing, which the server does not know: what is unfolded.
  const own = (element, name) => name === "open" && element.localName === "details";

  function alike(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }

  function morph(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue && !selected(from)) from.nodeValue = to.nodeValue;
      return;
    }
    if (from.isEqualNode(to)) return;
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !own(from, name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && !own(from, name)) from.setAttribute(name, value);
    }
    morphChildren(from, to);
  }

  function morphChildren(from, to) {
    const wanted = new Set([...to.children].map((child) => child.id).filter(Boolean));
    let here = from.firstChild;
    for (const next of [...to.childNodes]) {
      // What is gone goes; what is to come later, by its id, is passed over.
      while (here && !alike(here, next) && !(here.id && wanted.has(here.id))) here = drop(here);
      const known = next.id && from.querySelector(`:scope > [id="${CSS.escape(next.id)}"]`);
      if (here && alike(here, next)) {
        morph(here, next);
        here = here.nextSibling;
      } else if (known && alike(known, next)) {
        from.insertBefore(known, here);
        morph(known, next);
      } else {
        from.insertBefore(document.importNode(next, true), here);
      }
    }
    while (here) here = drop(here);
  }

  function drop(node) {
    const next = node.nextSibling;
    if (!selected(node)) node.remove();
    return next;
  }

  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const to = page.getElementById("live");
    if (!to) throw new Error("the answer is another page");
    if (page.documentElement.dataset.assets !== assets) return location.reload();
    const focused = document.activeElement;
    morph(live, to);
    document.title = page.title;
    if (focused !== document.activeElement) {
      (focused.isConnected ? focused : document.getElementById("main")).focus({ preventScroll: true });
    }
  }

  function say(text) {
    if (told.textContent !== text) told.textContent = text; // the same again would be read out again
  }

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden || asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      show(await answer.text());
      say("");
    } catch (error) {
      const why = error instanceof TypeError ? "it does not answer" : error.message;
      say(`Not refreshed since ${document.getElementById("as-of").textContent}: ${why}.`);
    }
    asking = false;
    timer = setTimeout(refresh, EVERY_MS);
  }

  async function copy(button) {
    const source = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source); // no clipboard without https: the keyboard has one
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  document.documentElement.classList.add("scripted");
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("click", (event) => {
    if (event.target.matches("button.copy")) copy(event.target);
  });
  // Messages of older versions link to a place on this page, where an incident is only while it is open.
  const named = location.hash.match(/^#(INC-\d+)$/);
  if (named && !document.getElementById(named[1])) location.replace(`incidents/${named[1]}`);
  timer = setTimeout(refresh, EVERY_MS);
})();
