// Small helpers: elements, numbers as text.

const [PARAMS, MACS] = [QUANTITIES.indexOf("params"), QUANTITIES.indexOf("macs")];
const LABELS = {
  params: "Parameters",
  macs: "MACs",
  macs_training: "Training MACs",
  activations: "Activations",
  element_ops: "Element ops",
  moved: "Elements moved",
  calls: "Operator calls",
};

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const grouped = (value) => value.toLocaleString("en-US");

// A count of about that size, for axes and labels in a picture; exact counts stand in the tables.
function short(value) {
  const units = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const [unit, letter] = units.find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / unit).toPrecision(3))}${letter}`;
}

// The change against a base as Python writes it: one decimal, an exact half to the even digit.
function percent(value, base) {
  if (base === 0) return "";
  const change = (100 * (value - base)) / base;
  const size = Math.abs(change);
  const text = (size % 1 === 0.25 ? size - 0.05 : size).toFixed(1);
  if (Number(text) === 0) return "0.0 %";
  return `${change < 0 ? "-" : "+"}${text} %`;
}

const sizeOf = ([h, w]) => `${h}×${w}`;
const mapText = (map) =>
  [map.high, map.low]
    .filter(Boolean)
    .map(({ c, size }) => `${c}·${sizeOf(size)}`)
    .join(" + ");
