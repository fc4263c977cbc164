// Runs the graph editor in place: a form or a link replaces the content instead of loading the page.
// Without this script, each of them loads the page. Dragging, zooming and shortcuts use the same
// forms.

const CHECK_DELAY = 500;
const ZOOM_STEP = 1.25;
const CHECKED_PARTS = ["editor-picture", "problem-list", "editor-problems"];

let zoom = 1;
let checkTimer = 0;
let typing = 0;

const byId = (id) => document.getElementById(id);
const editor = () => document.querySelector(".editor");
const picture = () => document.querySelector(".editor-picture .graph");
const panel = () => byId("node-form");
const isTextField = (element) => element.matches("input:not([type=checkbox], [type=radio]), textarea, select");

// Loading

async function load(address, options = {}, { push = false, focus = null } = {}) {
  clearTimeout(checkTimer);
  typing += 1;
  // An inert element loses the focus.
  const active = document.activeElement;
  const before = { id: active.id, isInPicture: picture()?.contains(active) };
  editor().inert = true;
  try {
    const response = await fetch(address, options);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!page.querySelector(".editor")) throw new Error("another page");
    const result = new URL(response.url);
    history[push ? "pushState" : "replaceState"](null, "", result.pathname + result.search);
    replaceContent(page, before, focus);
  } catch {
    // A refused permission, a new login or no connection: the browser shows it.
    location.assign(address);
  }
}

function replaceContent(page, before, focus) {
  const node = panel()?.elements.node?.value;
  const [left, top] = [picture()?.scrollLeft, picture()?.scrollTop];
  const open = [...editor().querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  editor().replaceWith(page.querySelector(".editor"));
  replaceMessages(page);
  for (const summary of editor().querySelectorAll(".editor-side > .editor-part > details > summary")) {
    if (open.includes(summary.textContent)) summary.parentElement.open = true;
  }
  prepare();
  if (picture()) [picture().scrollLeft, picture().scrollTop] = [left, top];
  showSelected();
  document.dispatchEvent(new Event("content-replaced"));
  const isSame = panel()?.elements.node?.value === node;
  const box = before.isInPicture && document.querySelector("#diagram-selected a");
  const heading = document.querySelector("#node h2");
  (focus?.() || (isSame && byId(before.id)) || box || heading)?.focus({ preventScroll: !focus });
}

function replaceMessages(page) {
  document.querySelector(".messagelist:not(.work-warnings)")?.remove();
  const messages = page.querySelector(".messagelist:not(.work-warnings)");
  if (!messages) return;
  messages.setAttribute("aria-live", "polite");
  byId("content").before(messages);
  scrollTo(0, 0);
}

function prepare() {
  for (const element of document.querySelectorAll(".with-script")) element.hidden = false;
  for (const element of document.querySelectorAll(".without-script")) element.hidden = true;
  document.querySelector("#node h2")?.setAttribute("tabindex", "-1");
  applyZoom();
  document.dispatchEvent(new Event("picture-replaced"));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || !form.closest(".editor")) return;
  event.preventDefault();
  post(new FormData(form, event.submitter));
});

function post(data, focus = null) {
  load(location.pathname + location.search, { method: "POST", body: data }, { focus });
}

// Other scripts run steps by this event.
document.addEventListener("graph-step", (event) => {
  const data = new FormData(panel());
  for (const [name, value] of Object.entries(event.detail)) {
    data.delete(name);
    for (const one of [value].flat()) data.append(name, one);
  }
  post(data);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest(".editor a[href]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const address = new URL(link.href.baseVal ?? link.href, location);
  if (address.pathname !== location.pathname || !address.searchParams.has("node")) return;
  event.preventDefault();
  const isInPicture = link.closest(".graph") && !address.searchParams.has("at");
  const focus = isInPicture ? () => document.querySelector("#diagram-selected a") : () => byId("label");
  load(address.pathname + address.search, {}, { push: true, focus: isInPicture || address.searchParams.has("at") ? focus : null });
});

addEventListener("popstate", () => load(location.pathname + location.search));

// Problems while typing

document.addEventListener("input", (event) => {
  if (event.target.id === "node-search") filterNodes(event.target.value);
  if (event.target.form !== panel() || !event.target.name?.startsWith("data/")) return;
  typing += 1;
  clearTimeout(checkTimer);
  checkTimer = setTimeout(check, CHECK_DELAY);
});

async function check() {
  const started = typing;
  const data = new FormData(panel());
  data.set("step", "check");
  // A check is no edit, so it uses up no token of a form.
  data.delete("_once");
  const response = await fetch(location.pathname + location.search, { method: "POST", body: data }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (started !== typing || !page.querySelector(".editor")) return;
  const [left, top] = [picture()?.scrollLeft, picture()?.scrollTop];
  for (const id of CHECKED_PARTS) {
    if (byId(id) && page.getElementById(id)) byId(id).replaceWith(page.getElementById(id));
  }
  prepare();
  if (picture()) [picture().scrollLeft, picture().scrollTop] = [left, top];
}

// Zoom and pan

function applyZoom() {
  const svg = picture()?.querySelector(":scope > svg");
  if (!svg) return;
  const { width, height } = svg.viewBox.baseVal;
  if (zoom === "fit") {
    // In its full size: a small picture makes its frame small, too.
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const scale = Math.min(1, picture().clientWidth / width, picture().clientHeight / height);
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    return;
  }
  svg.setAttribute("width", width * zoom);
  svg.setAttribute("height", height * zoom);
}

function changeZoom(how) {
  const svg = picture()?.querySelector(":scope > svg");
  if (!svg) return;
  const now = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const frame = picture();
  const middle = [frame.scrollLeft + frame.clientWidth / 2, frame.scrollTop + frame.clientHeight / 2];
  if (how === "fit") zoom = "fit";
  else if (how === "full") zoom = 1;
  else zoom = Math.min(3, Math.max(0.1, how === "in" ? now * ZOOM_STEP : now / ZOOM_STEP));
  applyZoom();
  const ratio = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width / now;
  frame.scrollLeft = middle[0] * ratio - frame.clientWidth / 2;
  frame.scrollTop = middle[1] * ratio - frame.clientHeight / 2;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom]");
  if (button) changeZoom(button.dataset.zoom);
});

document.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey || !event.target.closest?.(".editor-picture .graph")) return;
    event.preventDefault();
    changeZoom(event.deltaY < 0 ? "in" : "out");
  },
  { passive: false },
);

function showSelected() {
  const box = byId("diagram-selected")?.getBoundingClientRect();
  const frame = picture()?.getBoundingClientRect();
  if (!box || !frame) return;
  if (box.left < frame.left || box.right > frame.right) {
    picture().scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  }
  // The frame can be higher than the part of it that the window shows.
  const height = Math.min(frame.bottom, innerHeight) - frame.top;
  if (box.top < frame.top || box.bottom > frame.top + height) {
    picture().scrollTop += box.top + box.height / 2 - frame.top - height / 2;
  }
}

// Dragging: from an exit to a node connects them, on the background it pans.

let drag = null;

document.addEventListener("pointerdown", (event) => {
  if (event.button || event.shiftKey || event.pointerType === "touch" || !picture()?.contains(event.target)) return;
  const exit = event.target.closest(".insert");
  if (!exit && event.target.closest("a, .node")) return;
  drag = { exit, x: event.clientX, y: event.clientY, left: picture().scrollLeft, top: picture().scrollTop };
  if (exit) event.preventDefault();
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.exit) [picture().scrollLeft, picture().scrollTop] = [drag.left - dx, drag.top - dy];
  else if (drag.line || Math.hypot(dx, dy) > 5) drawDraggedLine(event);
});

function drawDraggedLine(event) {
  const svg = picture().querySelector(":scope > svg");
  if (!drag.line) {
    drag.line = document.createElementNS(svg.namespaceURI, "path");
    drag.line.setAttribute("class", "dragged");
    svg.append(drag.line);
  }
  const toGraph = svg.getScreenCTM().inverse();
  const [from, to] = [
    new DOMPoint(drag.x, drag.y).matrixTransform(toGraph),
    new DOMPoint(event.clientX, event.clientY).matrixTransform(toGraph),
  ];
  drag.line.setAttribute("d", `M${from.x} ${from.y}L${to.x} ${to.y}`);
}

document.addEventListener("pointerup", (event) => {
  const { exit, line } = drag ?? {};
  drag = null;
  if (!line) return;
  line.remove();
  // The click that follows would open the link of the exit.
  addEventListener("click", (click) => (click.preventDefault(), click.stopPropagation()), { capture: true, once: true });
  setTimeout(() => dispatchEvent(new Event("click")));
  const target = document.elementFromPoint(event.clientX, event.clientY)?.closest(".node");
  if (!target || !picture().contains(target)) return;
  const values = {
    step: "connect",
    "connect-from": exit.dataset.source,
    "connect-exit": exit.dataset.exit,
    target: target.dataset.node,
  };
  document.dispatchEvent(new CustomEvent("graph-step", { detail: values }));
});

// Links of the picture are not dragged as links.
document.addEventListener("dragstart", (event) => event.target.closest?.(".insert") && event.preventDefault());

// Search and shortcuts

function filterNodes(text) {
  const wanted = text.trim().toLowerCase();
  for (const row of document.querySelectorAll(".editor-nodes li")) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

function press(selector) {
  const button = document.querySelector(selector);
  if (button && !button.disabled) button.click();
  return button;
}

function openSearch() {
  const search = byId("node-search");
  if (!search) return;
  search.closest("details").open = true;
  search.focus();
}

const IN_PICTURE = {
  a: () => byId("label")?.focus(),
  d: () => press('#node-form [value="duplicate"]'),
  delete: () => press('#node-form [value="delete"]'),
  "+": () => changeZoom("in"),
  "-": () => changeZoom("out"),
  0: () => changeZoom("fit"),
};

function shortcut(event) {
  const key = event.key.toLowerCase();
  const isControl = event.ctrlKey || event.metaKey;
  if (isControl && key === "s") return () => press('[form="node-form"][value="save"]');
  if (isControl && key === "z" && !isTextField(event.target)) {
    return () => press(`.editor-steps [value="${event.shiftKey ? "redo" : "undo"}"]`);
  }
  if (event.altKey && key === "f") return openSearch;
  // Single keys work only in the picture, so that they disturb no assistive technology.
  if (isControl || event.altKey || !picture()?.contains(event.target)) return null;
  return IN_PICTURE[key];
}

document.addEventListener("keydown", (event) => {
  const run = editor() && shortcut(event);
  if (!run) return;
  event.preventDefault();
  run();
});

document.addEventListener("keydown", (event) => {
  if (event.target.id !== "node-search" || event.key !== "Enter") return;
  event.preventDefault();
  document.querySelector(".editor-nodes li:not([hidden]) a")?.click();
});

prepare();
showSelected();
