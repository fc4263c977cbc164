// Keys of the inbox: J and K open the next and the previous task, / goes to the search. A box turns
// them off. Without this script, the same links are beside the task.

const STORED = "desk-keys";
const hint = document.querySelector(".desk-keys");

function isTyping(target) {
  return target.closest("input, select, textarea, [contenteditable]") !== null;
}

if (hint) {
  const box = hint.querySelector("input");
  box.checked = localStorage.getItem(STORED) !== "off";
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
  hint.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const target =
      event.key === "/"
        ? document.querySelector(".inbox-filters [name=q]")
        : document.querySelector(`.desk-nav [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!target) return;
    event.preventDefault();
    if (event.key === "/") target.focus();
    else target.click();
  });
}
