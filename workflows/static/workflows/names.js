// Adds the labels that Django's widgets lack for screen readers.
"use strict";

function labelText(control) {
  const label = control.labels && control.labels[0];
  return label ? label.textContent.trim().replace(/:$/, "") : "";
}

function addLabels() {
  for (const icon of document.querySelectorAll(".help-tooltip")) {
    icon.setAttribute("role", "img");
  }
  for (const field of document.querySelectorAll("#searchbar[aria-describedby]")) {
    field.setAttribute("aria-label", "Search");
  }
  // The label of a date and a time side by side belongs to neither input.
  for (const field of document.querySelectorAll("p.datetime input")) {
    const legend = field.closest("fieldset, .flex-container").querySelector("legend, label");
    const before = field.previousSibling ? field.previousSibling.textContent.trim() : "";
    field.setAttribute("aria-label", [legend && legend.textContent.trim(), before].join(" ").trim());
  }
  // Select2 renders a search box that is not connected to the label of the list.
  for (const list of document.querySelectorAll("select.select2-hidden-accessible")) {
    const box = document.getElementById(`select2-${list.id}-container`);
    if (box) box.setAttribute("aria-label", [labelText(list), box.title].filter(Boolean).join(": "));
  }
}

// jQuery creates the widgets after the page has loaded.
window.addEventListener("load", () => (window.django?.jQuery ? django.jQuery(addLabels) : addLabels()));
