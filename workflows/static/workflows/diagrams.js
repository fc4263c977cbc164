// Scrolls a diagram to the failed step, or else to the current one. Without this script, the diagram
// opens at its first node, and links lead to the steps.

for (const picture of document.querySelectorAll(".graph")) {
  const node = picture.querySelector(".failed") || picture.querySelector(".here");
  if (!node) continue;
  const frame = picture.getBoundingClientRect();
  const box = node.getBoundingClientRect();
  picture.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  picture.scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
}
