// Keeps the page current: asks for it again and changes only what differs, so that scroll position, focus,
// unfolded parts and a selection stay as they are. Without this script the page reloads itself.
"use strict";
const [EVERY_MS, LIMIT_MS] = [5000, 8000];
let [timer, asking] = [0, false];

function selected(node) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(node, true);
}

function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue && !selected(from)) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.isEqualNode(to)) return;
  const reader = (name) => name === "open" && from.localName === "details"; // unfolded or not: the reader's doing
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !reader(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !reader(name)) from.setAttribute(name, value);
  }
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const alike = (a, b) => a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  const later = new Set([...to.children].map((child) => child.id).filter(Boolean));
  let here = from.firstChild;
  for (const next of [...to.childNodes]) {
    while (here && !alike(here, next) && !later.has(here.id)) here = drop(here);
    const known = next.id && from.querySelector(`:scope > [id="${CSS.escape(next.id)}"]`);
    if (here && alike(here, next)) {
      morph(here, next);
      here = here.nextSibling;
    } else if (known && alike(known, next)) {
      from.insertBefore(known, here); // it changed places
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
  if (page.documentElement.dataset.assets !== document.documentElement.dataset.assets) return location.reload();
  const focused = document.activeElement;
  morph(document.getElementById("live"), page.getElementById("live"));
  document.title = page.title;
  if (focused === document.activeElement) return;
  (focused.isConnected ? focused : document.getElementById("main")).focus({ preventScroll: true });
}

function say(text) {
  const told = document.getElementById("refresh");
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
    const why = error.message.startsWith("it answers") ? error.message : "it does not answer";
    say(`Not refreshed since ${document.getElementById("as-of").textContent}: ${why}.`);
  }
  asking = false;
  timer = setTimeout(refresh, EVERY_MS);
}

async function copy(button) {
  const source = button.previousElementSibling;
  const copied = navigator.clipboard?.writeText(source.textContent) ?? Promise.reject(new Error("there is none"));
  button.textContent = await copied.then(() => "Copied", () => "Selected: press Ctrl+C");
  if (button.textContent !== "Copied") getSelection().selectAllChildren(source); // browsers give none without https
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.documentElement.classList.add("scripted");
document.addEventListener("visibilitychange", refresh);
document.addEventListener("click", (event) => { if (event.target.matches("button.copy")) copy(event.target); });
// Messages once linked to a place on the first page, where an incident is only while it is open.
const named = location.hash.match(/^#(INC-\d+)$/);
if (named && !document.getElementById(named[1])) location.replace(`incidents/${named[1]}`);
timer = setTimeout(refresh, EVERY_MS);
