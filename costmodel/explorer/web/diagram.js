// The chosen layer: a picture of its four paths, and what each costs as mathematics with its numbers in it.

const chosenLayer = (state, rows) => {
  const name = LAYERS[state.layer][1]((state.depth - 2) / 6);
  return rows.find((r) => r.name === name);
};

// Where a path runs in the picture: from its source's height to its target's.
const HEIGHT = { H: 62, L: 190 };
const LABEL_AT = { HH: [230, 62], HL: [160, 101], LH: [300, 101], LL: [230, 190] };
const LANES = { HH: [62, 62], HL: [84, 168], LH: [168, 84], LL: [190, 190] };

function branchBox(x, branch, map, title) {
  const y = HEIGHT[branch];
  const texts = map
    ? [
        svg("text", { x, y: y - 4, class: "big" }, String(map.c)),
        svg("text", { x, y: y + 14 }, sizeOf(map.size)),
      ]
    : [svg("text", { x, y: y + 4 }, "none")];
  return svg(
    "g",
    { class: map ? "branch" : "branch absent" },
    svg("rect", { x: x - 42, y: y - 30, width: 84, height: 60, rx: 6 }),
    svg("text", { x, y: branch === "H" ? y - 38 : y + 46, class: "title" }, title),
    ...texts,
  );
}

const channelChain = ({ cIn, cOut, m, form }) =>
  (form === "plain" ? [cIn, cOut] : [cIn, m, m, cOut]).join("→");
const pathState = (path) => (!path ? "absent" : path.form === "plain" ? "plain" : "compressed");

function pathLine(name, path) {
  const [from, to] = LANES[name];
  return svg("path", {
    class: `lane ${pathState(path)} ${name}`,
    d: `M84 ${from}C170 ${from} 290 ${to} 370 ${to}`,
    "marker-end": path ? "url(#arrow)" : null,
  });
}

function pathLabel(state, layer, name, path) {
  const [x, y] = LABEL_AT[name];
  const text = path ? channelChain(path) : "no channels";
  const half = 6 + 4 * Math.max(text.length, 7);
  return svg(
    "g",
    { class: `label ${pathState(path)} ${name}`, ...(path && layer.layer.compress ? pathButton(state, layer, path) : {}) },
    svg("rect", { x: x - half, y: y - 17, width: 2 * half, height: 34, rx: 5 }),
    svg("text", { x, y: y - 3, class: "title" }, path?.k === 1 ? `${name} 1×1` : name),
    svg("text", { x, y: y + 11 }, text),
  );
}

function pathWords(name, path) {
  if (!path) return `${name} does not exist.`;
  const channels = channelChain(path).replaceAll("→", " to ");
  return `${name} is ${path.form === "plain" ? "a single convolution" : "a bottleneck"}, channels ${channels}, at ${path.convolved.join(" by ")}.`;
}

// A click on a path makes it a bottleneck, or a single convolution again.
function pathButton(state, layer, { path }) {
  return {
    role: "button",
    tabindex: 0,
    "data-toggle": path,
    "data-key": `path ${path}`,
    "aria-pressed": String(state.stages[layer.layer.stage].paths.has(path)),
    "aria-label": `${path} as a bottleneck`,
  };
}

function renderDiagram(state, layer) {
  const found = Object.fromEntries(layer.paths.map((path) => [path.path, path]));
  const drawn = [
    ...PATHS.map((name) => pathLine(name, found[name])),
    branchBox(44, "H", layer.x.high, "high in"),
    branchBox(44, "L", layer.x.low, "low in"),
    branchBox(416, "H", layer.out.high, "high out"),
    branchBox(416, "L", layer.out.low, "low out"),
    ...alphaGrip(state, layer),
    ...PATHS.map((name) => pathLabel(state, layer, name, found[name])),
  ];
  const words = PATHS.map((name) => pathWords(name, found[name])).join(" ");
  const arrow = svg(
    "marker",
    {
      id: "arrow",
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 9,
      markerHeight: 9,
      markerUnits: "userSpaceOnUse",
      orient: "auto",
    },
    svg("path", { d: "M0 0L8 4L0 8z" }),
  );
  byId("diagram").replaceChildren(
    svg(
      "svg",
      { viewBox: "0 0 460 250", role: "group", "aria-label": words },
      svg("defs", {}, arrow),
      ...drawn,
    ),
  );
}

// MathML from Python; a copy of it gets numbers for its symbols.
function mathematics(source, numbers) {
  const holder = document.createElement("template");
  holder.innerHTML = `<math>${source}</math>`;
  const math = holder.content.firstChild;
  for (const symbol of numbers ? math.querySelectorAll("[data-symbol]") : []) {
    const number = document.createElementNS("http://www.w3.org/1998/Math/MathML", "mn");
    number.textContent = numbers[symbol.getAttribute("data-symbol")];
    symbol.replaceWith(number);
  }
  return math;
}

function formulaLine(path, quantity) {
  const numbers = {
    c_in: path.cIn,
    c_out: path.cOut,
    m: path.m,
    k: path.k,
    h: path.convolved[0],
    w: path.convolved[1],
  };
  const source = MATHEMATICS[path.form][quantity];
  const result = grouped(path.cost[QUANTITIES.indexOf(quantity)]);
  return element(
    "div",
    { class: "formula", role: "group", "aria-label": `${LABELS[quantity]} of ${path.path}` },
    element("span", { class: "what" }, LABELS[quantity]),
    element(
      "div",
      { class: "equation" },
      element("span", { class: "side" }, mathematics(source, null)),
      element("span", { class: "side" }, "=", mathematics(source, numbers)),
      element(
        "span",
        { class: "side" },
        "=",
        element("span", { class: "count", "data-formula": `${path.path}.${quantity}` }, result),
      ),
    ),
  );
}

function besideSingle(path) {
  if (path.form === "plain") return "one convolution";
  const changes = [PARAMS, MACS].map((i) => `${percent(path.cost[i], path.single[i])} ${LABELS[QUANTITIES[i]]}`);
  return `bottleneck: ${changes.join(", ")} vs one convolution`;
}

function renderFormulas(layer) {
  const blocks = layer.paths.map((path) =>
    element(
      "div",
      { class: "path-formulas" },
      element(
        "h3",
        { class: `key ${path.path}` },
        `${path.path} `,
        element("span", {}, besideSingle(path)),
      ),
      formulaLine(path, "params"),
      formulaLine(path, "macs"),
    ),
  );
  byId("formulas").replaceChildren(...blocks);
  reachScrolling();
}

// What is too long for its line scrolls, by keyboard too.
function reachScrolling() {
  for (const side of document.querySelectorAll(".side")) {
    if (side.scrollWidth > side.clientWidth) side.tabIndex = 0;
    else side.removeAttribute("tabindex");
  }
}
