// A small map in the corner of a diagram with many nodes: it shows which part is visible, and
// scrolls there. It repeats the diagram, so it is hidden from screen readers.

const LEAST_NODES = 31;
const [WIDTH, HEIGHT] = [130, 170];
const STATES = ["selected", "invalid", "here", "failed", "done"];

function element(name, attributes) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}

function build(frame) {
  const picture = frame.querySelector(":scope > svg");
  const nodes = [...frame.querySelectorAll(".node")];
  if (!picture || nodes.length < LEAST_NODES || frame.querySelector(".minimap")) return;
  const { x, y, width, height } = picture.viewBox.baseVal;
  const scale = Math.min(WIDTH / width, HEIGHT / height);
  const map = element("svg", { viewBox: `${x} ${y} ${width} ${height}`, width: width * scale, height: height * scale });
  for (const node of nodes) {
    const { e, f } = node.transform.baseVal.consolidate().matrix;
    const box = node.querySelector(".box");
    const state = STATES.filter((name) => node.classList.contains(name)).map((name) => `is-${name}`).join(" ");
    const [wide, high] = [box.getAttribute("width"), box.getAttribute("height")];
    map.append(element("rect", { class: `minimap-node ${state}`, x: e, y: f, width: wide, height: high }));
  }
  const view = element("rect", { class: "minimap-view" });
  map.append(view);
  const holder = document.createElement("div");
  holder.className = "minimap";
  holder.setAttribute("aria-hidden", "true");
  holder.append(map);
  frame.prepend(holder);

  function update() {
    const [outer, inner] = [frame.getBoundingClientRect(), picture.getBoundingClientRect()];
    // The diagram was replaced, or is hidden.
    if (!inner.width) return;
    const ratio = width / inner.width;
    holder.hidden = inner.width <= frame.clientWidth && inner.height <= frame.clientHeight;
    view.setAttribute("x", x + (outer.left - inner.left) * ratio);
    view.setAttribute("y", y + (outer.top - inner.top) * ratio);
    view.setAttribute("width", frame.clientWidth * ratio);
    view.setAttribute("height", frame.clientHeight * ratio);
  }

  function go(event) {
    const [area, inner] = [map.getBoundingClientRect(), picture.getBoundingClientRect()];
    const [across, down] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    const outer = frame.getBoundingClientRect();
    frame.scrollLeft += inner.left + across * inner.width - outer.left - frame.clientWidth / 2;
    frame.scrollTop += inner.top + down * inner.height - outer.top - frame.clientHeight / 2;
  }

  map.addEventListener("pointerdown", (event) => {
    // The diagram itself would be dragged.
    event.stopPropagation();
    map.setPointerCapture(event.pointerId);
    go(event);
  });
  map.addEventListener("pointermove", (event) => map.hasPointerCapture(event.pointerId) && go(event));
  frame.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(picture);
  new ResizeObserver(update).observe(frame);
  update();
}

function buildAll() {
  for (const frame of document.querySelectorAll(".graph")) build(frame);
}

document.addEventListener("picture-replaced", buildAll);
buildAll();
