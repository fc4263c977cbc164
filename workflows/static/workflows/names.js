// Gives names, for those who hear a page, to what Django's own widgets leave without one.
"use strict";

function told(control) {
  const label = control.labels && control.labels[0];
  return label ? label.textContent.trim().replace(/:$/, "") : "";
}

function name() {
  for (const icon of document.querySelectorAll(".help-tooltip")) {
    icon.setAttribute("role", "img");
  }
  for (const field of document.querySelectorAll("#searchbar[aria-describedby]")) {
    field.setAttribute("aria-label", "Search");
  }
  // A date and a time side by side: the label belongs to neither of them.
  for (const field of document.querySelectorAll("p.datetime input")) {
    const legend = field.closest("fieldset, .flex-container").querySelector("legend, label");
    const before = field.previousSibling ? field.previousSibling.textContent.trim() : "";
    field.setAttribute("aria-label", [legend && legend.textContent.trim(), before].join(" ").trim());
  }
  // The box of a search is another element than the list that it fills in.
  for (const list of document.querySelectorAll("select.select2-hidden-accessible")) {
    const box = document.getElementById(`select2-${list.id}-container`);
    if (box) box.setAttribute("aria-label", [told(list), box.title].filter(Boolean).join(": "));
  }
}

// After the widgets have been made, which jQuery puts off.
window.addEventListener("load", () => (window.django?.jQuery ? django.jQuery(name) : name()));
