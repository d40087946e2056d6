// The sizes are BigInt, as are all counts: nothing is rounded.
const LAYER_QUANTITIES = Object.keys(QUANTITIES).filter((key) => key !== "params"); // a tied one has no layer
const byId = (id) => document.getElementById(id);

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function grouped(count) {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

function share(part, whole) {
  if (whole === 0n) return "";
  const tenths = ((part * 2000n) / whole + 1n) / 2n;
  return `${tenths / 10n}.${tenths % 10n} %`;
}

function addSlider({ name, value, least, most, step }) {
  const row = element("div", "", "size");
  const label = element("label", name);
  label.htmlFor = `size-${name}`;
  const number = element("input");
  number.id = `size-${name}`;
  number.inputMode = "numeric";
  number.value = String(value);
  const range = element("input");
  Object.assign(range, { type: "range", min: least, max: most, step, value, disabled: least === most });
  range.setAttribute("aria-label", `${name}, slider`);
  range.addEventListener("input", () => { number.value = range.value; show(); });
  number.addEventListener("input", () => { range.value = number.value; show(); });
  row.append(label, number, range);
  byId("sizes").append(row);
}

function sizes() {
  return SLIDERS.map(({ name }) => {
    const text = byId(`size-${name}`).value.trim();
    if (!/^[0-9]{1,12}$/.test(text) || BigInt(text) === 0n) throw new Error(`${name} must be a whole number of 1 or more`);
    return BigInt(text);
  });
}

function show() {
  const error = byId("error");
  let at = null;
  try {
    at = sizes();
    error.textContent = CONDITIONS.every((holds) => holds(...at)) ? "" : "The formula does not hold for these sizes.";
  } catch (problem) {
    error.textContent = problem.message;
  }
  error.hidden = !error.textContent;
  const known = error.hidden;
  byId("totals").replaceChildren(...Object.entries(QUANTITIES).map(([key, heading]) => {
    const row = element("tr");
    const total = element("td", known ? grouped(TOTAL[key](...at)) : "", "number");
    total.dataset.total = key;
    const name = element("th", heading);
    name.scope = "row";
    row.append(name, total, element("td", FORMULAS[key], "formula"));
    return row;
  }));
  byId("layers").replaceChildren(...LAYERS.map(({ name, cost }) => layerRow(name, cost, known ? at : null)));
}

function layerRow(name, cost, at) {
  const row = element("tr");
  const cells = LAYER_QUANTITIES.map((key) => element("td", at ? grouped(cost[key](...at)) : "", "number"));
  const part = at ? share(cost.macs(...at), TOTAL.macs(...at)) : "";
  const rowHead = element("th", name);
  rowHead.scope = "row";
  const last = element("td", part, "number share");
  last.style.setProperty("--share", part.replace(" ", "") || "0%");
  row.append(rowHead, ...cells, last);
  return row;
}

for (const heading of [...LAYER_QUANTITIES.map((key) => QUANTITIES[key]), "share of MACs"]) {
  const cell = element("th", heading, "number");
  cell.scope = "col";
  byId("layers-head").append(cell);
}
byId("sizes").addEventListener("submit", (event) => event.preventDefault());
SLIDERS.forEach(addSlider);
show();
