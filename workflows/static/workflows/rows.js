// Adds, removes and moves the rows of a list in place. Without this script, the same buttons send the
// form, and the page comes back with one row more or less.
//
// A row has a number for life. The input "#rows" counts the rows with the removed ones, "#remove" marks
// a removed row, and "#position" orders the rows.

const LIST = ".data-rows";
const rowsOf = (list) => [...list.children].filter((one) => one.dataset.row && !one.hidden);
const inputOf = (element, name) => [...element.children].find((one) => one.name === name);
const countOf = (list) => inputOf(list, `${list.dataset.rows}#rows`);
const addButton = (list) => [...list.children].at(-1);

function setInput(input, value) {
  if (!input || input.value === String(value)) return;
  input.value = value;
  // The draft of the form is stored, and the graph editor checks the settings.
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function addRow(list, number) {
  const name = list.dataset.rows;
  const template = [...list.children].find((one) => one.matches("template"));
  const html = template.innerHTML.replaceAll(`${name}/+`, `${name}/${number}`);
  const row = document.createRange().createContextualFragment(html).firstElementChild;
  template.before(row);
  return row;
}

// Adds the rows that the number asks for: users add one, a restored draft brings back several.
function addRows(list) {
  const prefix = `${list.dataset.rows}/`;
  const numbers = [...list.children]
    .map((one) => one.dataset.row ?? one.name?.replace(/#remove$/, ""))
    .filter((name) => name?.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)));
  let row = null;
  for (let number = Math.max(-1, ...numbers) + 1; number < Number(countOf(list).value); number += 1) {
    row = addRow(list, number);
  }
  arrange(list);
  return row;
}

function arrange(list) {
  rowsOf(list).forEach((row, index) => setInput(inputOf(row, `${row.dataset.row}#position`), index));
  enableButtons(list);
}

function enableButtons(list) {
  const rows = rowsOf(list);
  rows.forEach((row, index) => {
    for (const button of buttonsOf(row)) {
      if (button.value.startsWith("up ")) button.disabled = index === 0;
      if (button.value.startsWith("down ")) button.disabled = index === rows.length - 1;
    }
  });
}

function buttonsOf(row) {
  return [...row.children].at(-1).querySelectorAll("button");
}

function removeRow(row) {
  const list = row.closest(LIST);
  const next = row.nextElementSibling?.dataset.row ? row.nextElementSibling : null;
  row.hidden = true;
  setInput(inputOf(row, `${row.dataset.row}#remove`), "1");
  arrange(list);
  ([...(next ? buttonsOf(next) : [])].at(-1) ?? addButton(list)).focus();
}

function moveRow(row, by, button) {
  const rows = rowsOf(row.parentElement);
  const other = rows[rows.indexOf(row) + by];
  if (!other) return;
  if (by < 0) other.before(row);
  else other.after(row);
  arrange(row.parentElement);
  const focused = button.disabled ? [...buttonsOf(row)].find((one) => !one.disabled) : button;
  focused.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(`${LIST} button[name=row]`);
  if (!button) return;
  event.preventDefault();
  const [action] = button.value.split(" ", 1);
  const row = button.closest("[data-row]");
  if (action === "remove") removeRow(row);
  else if (action !== "add") moveRow(row, action === "up" ? -1 : 1, button);
  else {
    const list = button.parentElement;
    setInput(countOf(list), Number(countOf(list).value) + 1);
    addRows(list).querySelector("input:not([hidden]), select, textarea").focus();
  }
});

// A restored draft sets these inputs.
document.addEventListener("change", (event) => {
  const { name = "", value } = event.target;
  const list = event.target.closest?.(LIST);
  if (!list || !event.target.hidden) return;
  if (name.endsWith("#rows")) return void addRows(list);
  if (name.endsWith("#remove")) event.target.parentElement.hidden = value === "1";
  if (name.endsWith("#position")) {
    const position = (row) => Number(inputOf(row, `${row.dataset.row}#position`).value);
    const template = list.querySelector(":scope > template");
    template.before(...rowsOf(list).sort((one, other) => position(one) - position(other)));
  }
  enableButtons(list);
});
