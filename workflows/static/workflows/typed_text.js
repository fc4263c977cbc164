// Keeps what users type until they send the form: in the session storage of the browser tab.
//
// A value is restored only where the page still shows the value that the user has changed. So a
// form that was sent, or that someone else has changed, is not overwritten.

const texts = document.querySelector("script[data-restored]").dataset;
const SKIPPED = ["csrfmiddlewaretoken", "token", "next", "nodes"];
const SELECTOR = "#content-main form[method=post]:not(#changelist-form)";
let isLeaving = false;

function controls(form) {
  return [...form.elements].filter(
    (control) =>
      control.name &&
      !SKIPPED.includes(control.name) &&
      !["hidden", "password", "file", "submit", "button", "fieldset"].includes(control.type),
  );
}

// Radio buttons and checkboxes share names, so their values belong to the key.
function keyOf(control) {
  return ["checkbox", "radio"].includes(control.type) ? `${control.name}=${control.value}` : control.name;
}

function valueOf(control) {
  if (["checkbox", "radio"].includes(control.type)) return control.checked;
  if (control.type === "select-multiple") return [...control.selectedOptions].map((one) => one.value).join();
  return control.value;
}

function setValue(control, value) {
  if (["checkbox", "radio"].includes(control.type)) control.checked = value;
  else if (control.type === "select-one" && ![...control.options].some((one) => one.value === value)) return;
  else if (control.type !== "select-multiple") control.value = value;
  control.dispatchEvent(new Event("change", { bubbles: true }));
}

function readAll(form) {
  return Object.fromEntries(controls(form).map((control) => [keyOf(control), valueOf(control)]));
}

class TypedForm {
  constructor(form, number) {
    this.form = form;
    // Links in the pictures of a form open the form again, with another query.
    const page = form.dataset.typed || location.pathname + location.search;
    // Comments on different steps have the same fields.
    this.key = `typed ${page} ${form.id || form.elements.step?.value || number}`;
    this.original = readAll(form);
    this.restore();
    form.addEventListener("submit", () => this.forget());
    form.addEventListener("click", (event) => (isLeaving ||= !!event.target.closest(".graph a")));
  }

  changes() {
    const now = readAll(this.form);
    return Object.keys(now)
      .filter((key) => now[key] !== this.original[key])
      .map((key) => ({ key, before: this.original[key], after: now[key] }));
  }

  store() {
    const changes = this.changes();
    if (changes.length) sessionStorage.setItem(this.key, JSON.stringify(changes));
    else sessionStorage.removeItem(this.key);
  }

  restore() {
    const stored = JSON.parse(sessionStorage.getItem(this.key) || "[]");
    // Restoring the number of rows adds the controls of those rows, which had no value before.
    const restored = stored.filter(({ key, before, after }) => {
      const control = controls(this.form).find((one) => keyOf(one) === key);
      if (!control || (before !== undefined && valueOf(control) !== before)) return false;
      setValue(control, after);
      return true;
    });
    sessionStorage.removeItem(this.key);
    if (!restored.length) return;
    this.store();
    this.announce();
  }

  announce() {
    const notice = document.createElement("p");
    const discard = document.createElement("button");
    notice.className = "outcome outcome-waits";
    notice.setAttribute("role", "status");
    notice.append(texts.restored, " ", discard);
    discard.type = "button";
    discard.className = "plain-button";
    discard.textContent = texts.discard;
    discard.addEventListener("click", () => {
      this.forget();
      location.reload();
    });
    this.form.prepend(notice);
  }

  forget() {
    isLeaving = true;
    sessionStorage.removeItem(this.key);
  }
}

let forms = [];

function watchForms() {
  isLeaving = false;
  forms = [...document.querySelectorAll(SELECTOR)].map((form, number) => new TypedForm(form, number));
}

watchForms();
// The graph editor replaces its content in place.
document.addEventListener("content-replaced", watchForms);
for (const name of ["input", "change"]) {
  // Controls outside of the form belong to it by their attribute "form".
  document.addEventListener(name, (event) => forms.find((one) => one.form === event.target.form)?.store());
}

addEventListener("beforeunload", (event) => {
  if (!isLeaving && forms.some((one) => one.changes().length)) event.preventDefault();
});

// The graph editor: a link to another node sends the form, which applies the settings first.
document.addEventListener("click", (event) => {
  const panel = document.querySelector("form#node-form [name=next]");
  const link = event.target.closest(".editor a[href]");
  if (!panel || !link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const address = new URL(link.href?.baseVal ?? link.href, location);
  const node = address.searchParams.get("node");
  const typed = forms.find((one) => one.form === panel.form);
  if (!node || address.pathname !== location.pathname || !typed.changes().length) return;
  event.preventDefault();
  panel.value = node;
  panel.form.elements["next-at"].value = address.searchParams.get("at") ?? "";
  const step = document.createElement("input");
  Object.assign(step, { type: "hidden", name: "step", value: "select" });
  panel.form.append(step);
  panel.form.requestSubmit();
});
