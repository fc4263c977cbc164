// Moves and selects nodes of the graph editor with the mouse and the keyboard. Without this script,
// the panel of a node has fields for its position, and the list of nodes has checkboxes. Selected
// nodes are the checked ones of that list.

const CLICK = 5;

let chosen = new Set();
let drag = null;

const picture = () => document.querySelector(".editor-picture .graph");
const svg = () => picture().querySelector(":scope > svg");
const boxes = () => [...(picture()?.querySelectorAll(".node") ?? [])];
const checks = () => [...document.querySelectorAll("[name=nodes]")];
const selected = () => picture()?.querySelector(".node.selected")?.dataset.node;

function run(values) {
  document.dispatchEvent(new CustomEvent("graph-step", { detail: values }));
}

// Selection

function choose(ids) {
  const known = new Set(checks().map((check) => check.value));
  chosen = new Set([...ids].filter((id) => known.has(id)));
  for (const check of checks()) check.checked = chosen.has(check.value);
  for (const box of boxes()) box.classList.toggle("chosen", chosen.has(box.dataset.node));
  const bar = document.getElementById("selection-bar");
  if (!bar) return;
  bar.hidden = !chosen.size;
  const text = chosen.size === 1 ? bar.dataset.one : bar.dataset.many.replace("{number}", chosen.size);
  bar.querySelector("span").textContent = text;
}

function restore() {
  // The server checks the nodes that a step has made.
  const checked = checks().filter((check) => check.checked);
  choose(checked.length ? checked.map((check) => check.value) : chosen);
}

function toggle(id) {
  // The first further node is selected together with the one in the panel.
  const ids = new Set(chosen.size || !selected() ? chosen : [selected()]);
  if (!ids.delete(id)) ids.add(id);
  choose(ids);
}

document.addEventListener("picture-replaced", restore);
document.addEventListener("change", (event) => {
  if (event.target.name !== "nodes") return;
  choose(checks().filter((check) => check.checked).map((check) => check.value));
});

document.addEventListener(
  "click",
  (event) => {
    const box = picture()?.contains(event.target) && event.target.closest(".node");
    if (!box || event.target.closest(".insert, .mark a")) return;
    if (!event.shiftKey) return choose([]);
    event.preventDefault();
    event.stopPropagation();
    toggle(box.dataset.node);
  },
  { capture: true },
);

// Dragging: a node moves with all selected ones; with Shift on the background it selects.

const place = (box) => {
  const { e, f } = box.transform.baseVal.consolidate().matrix;
  return { x: e, y: f };
};

const toGraph = ({ x, y }) => new DOMPoint(x, y).matrixTransform(svg().getScreenCTM().inverse());

document.addEventListener("pointerdown", (event) => {
  if (event.button || event.pointerType === "touch" || !picture()?.contains(event.target)) return;
  if (event.target.closest(".insert, .mark a, .minimap")) return;
  const box = event.target.closest(".node");
  const start = { x: event.clientX, y: event.clientY };
  if (box && !event.shiftKey) {
    const moving = chosen.has(box.dataset.node) ? boxes().filter((one) => chosen.has(one.dataset.node)) : [box];
    drag = { start, places: new Map(moving.map((one) => [one, place(one)])) };
  } else if (!box && event.shiftKey) drag = { start, before: [...chosen] };
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const end = { x: event.clientX, y: event.clientY };
  if (!drag.isMoving && Math.hypot(end.x - drag.start.x, end.y - drag.start.y) < CLICK) return;
  drag.isMoving = true;
  const [from, to] = [toGraph(drag.start), toGraph(end)];
  if (drag.places) moveBoxes(to.x - from.x, to.y - from.y);
  else chooseArea(from, to);
});

function moveBoxes(dx, dy) {
  svg().classList.add("moving");
  for (const [box, { x, y }] of drag.places) box.setAttribute("transform", `translate(${x + dx} ${y + dy})`);
}

function chooseArea(from, to) {
  if (!drag.area) {
    drag.area = document.createElementNS(svg().namespaceURI, "rect");
    drag.area.setAttribute("class", "chosen-area");
    svg().append(drag.area);
  }
  const [left, top] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
  const [width, height] = [Math.abs(to.x - from.x), Math.abs(to.y - from.y)];
  for (const [name, value] of Object.entries({ x: left, y: top, width, height })) drag.area.setAttribute(name, value);
  const inside = boxes().filter((box) => {
    const { x, y } = place(box);
    const { width: wide, height: high } = box.querySelector(".box").getBBox();
    return x < left + width && x + wide > left && y < top + height && y + high > top;
  });
  choose([...drag.before, ...inside.map((box) => box.dataset.node)]);
}

document.addEventListener("pointerup", () => {
  const { isMoving, places, area } = drag ?? {};
  drag = null;
  area?.remove();
  if (!isMoving) return;
  // The click that follows would open the link of the node.
  addEventListener("click", (click) => (click.preventDefault(), click.stopPropagation()), { capture: true, once: true });
  setTimeout(() => dispatchEvent(new Event("click")));
  if (!places) return;
  const positions = {};
  for (const box of places.keys()) {
    const { x, y } = place(box);
    positions[box.dataset.node] = { x: Math.round(x), y: Math.round(y) };
  }
  run({ step: "move", positions: JSON.stringify(positions) });
});

// Links of the picture are not dragged as links.
document.addEventListener("dragstart", (event) => event.target.closest?.(".editor-picture .node") && event.preventDefault());

// Keys, which work only in the picture

function shortcut(event) {
  const nodes = chosen.size ? [...chosen] : [selected()].filter(Boolean);
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "a") return () => choose(boxes().map((box) => box.dataset.node));
    if (key === "c" && nodes.length) return () => run({ step: "copy", nodes });
    if (key === "v" && document.querySelector('[value="paste"]')) return () => run({ step: "paste" });
    return null;
  }
  if (event.altKey || !chosen.size) return null;
  if (key === "escape") return () => choose([]);
  if (key === "d") return () => run({ step: "duplicate_nodes", nodes });
  if (key === "delete") return () => run({ step: "delete_nodes", nodes });
  return null;
}

document.addEventListener(
  "keydown",
  (event) => {
    const action = picture()?.contains(event.target) && shortcut(event);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  },
  { capture: true },
);

restore();
