// Moves nodes of the graph editor by dragging them. Without this script, the panel of a node has
// fields for its position.

const CLICK = 5;

let drag = null;

const picture = () => document.querySelector(".editor-picture .graph");
const boxes = () => [...picture().querySelectorAll(".node")];

const place = (box) => {
  const { e, f } = box.transform.baseVal.consolidate().matrix;
  return { x: e, y: f };
};

document.addEventListener("pointerdown", (event) => {
  if (event.button || event.pointerType === "touch" || event.shiftKey) return;
  const box = picture()?.contains(event.target) && event.target.closest(".node");
  if (!box || event.target.closest(".insert, .mark a")) return;
  drag = { x: event.clientX, y: event.clientY, places: new Map([[box, place(box)]]) };
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.isMoving && Math.hypot(dx, dy) < CLICK) return;
  drag.isMoving = true;
  const svg = picture().querySelector("svg");
  svg.classList.add("moving");
  const scale = svg.getScreenCTM().a;
  for (const [box, { x, y }] of drag.places) {
    box.setAttribute("transform", `translate(${x + dx / scale} ${y + dy / scale})`);
  }
});

document.addEventListener("pointerup", () => {
  const { isMoving, places } = drag ?? {};
  drag = null;
  if (!isMoving) return;
  // The click that follows would open the link of the node.
  addEventListener("click", (click) => (click.preventDefault(), click.stopPropagation()), { capture: true, once: true });
  setTimeout(() => dispatchEvent(new Event("click")));
  const positions = {};
  for (const box of places.keys()) {
    const { x, y } = place(box);
    positions[box.dataset.node] = { x: Math.round(x), y: Math.round(y) };
  }
  run({ step: "move", positions: JSON.stringify(positions) });
});

// Links of the picture are not dragged as links.
document.addEventListener("dragstart", (event) => event.target.closest?.(".editor-picture .node") && event.preventDefault());

function run(values) {
  document.dispatchEvent(new CustomEvent("graph-step", { detail: values }));
}
