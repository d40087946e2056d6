// All configurations of a backbone in which the stages choose alike, and the Pareto front: of these, or of all.

// Every alpha in eighths, some betas, every set of paths: the configurations of the chart.
const SPACE = {
  alphas: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((p) => ratio(p, 8)),
  betas: [ratio(2), ratio(8, 3), ratio(4), ratio(8)],
  paths: [...Array(16).keys()].map((mask) => new Set(PATHS.filter((_, bit) => (mask >> bit) & 1))),
};

const alike = (state, choice) => ({ ...state, stages: STAGES.map(() => choice) });

// A network costs what its paths cost, each by itself a single convolution or a bottleneck. So two networks of each alpha
// and beta, without bottlenecks and with all four, give the costs of those between.
function* configurations(state) {
  const betas = SPACE.betas.filter((beta) => beta.p <= state.width * beta.q);
  for (const alpha of SPACE.alphas) {
    const single = alike(state, { alpha, beta: ratio(2), paths: new Set() });
    const plain = networkShares(parts(single));
    yield { net: single, cost: totalOf(plain) };
    const compressed = betas.map((beta) => networkShares(parts(alike(state, { alpha, beta, paths: new Set(PATHS) }))));
    for (const paths of SPACE.paths.filter(({ size }) => size))
      for (const [b, beta] of betas.entries()) {
        const net = alike(state, { alpha, beta, paths });
        const share = (name) => (paths.has(name) || (name === "other" && !isPlain(net)) ? compressed[b] : plain)[name];
        yield { net, cost: sum(SHARES.map(share)) };
      }
  }
}

// The space depends on the backbone alone; while alpha, beta and paths move, its costs stay.
const space = { key: "", points: [] };
const backboneKey = ({ depth, size, width, classes, strideRule, widthRule, between }) =>
  JSON.stringify([depth, size, width, classes, strideRule, widthRule, between]);
function spaceOf(state) {
  const key = backboneKey(state);
  if (space.key !== key) {
    space.points = [...configurations(state)];
    space.key = key;
  }
  return space.points;
}

// Points that no other beats: less of x, and more or less of y. Of equal points the first one stays.
function frontOf(points, x, y, want) {
  const sign = want === "most" ? -1 : 1;
  const order = [...points].sort((a, b) => a.cost[x] - b.cost[x] || sign * (a.cost[y] - b.cost[y]));
  let best = Infinity;
  return order.filter(({ cost }) => {
    const better = sign * cost[y] < best;
    if (better) best = sign * cost[y];
    return better;
  });
}

// What one might take instead: plain networks of other depths.
const PLAIN_DEPTHS = [20, 32, 44, 56, 110];
const plainNetworks = (state) =>
  PLAIN_DEPTHS.map((depth) => ({ depth, cost: networkCost(uncompressed({ ...state, depth }, false)) }));

const fits = (state, cost) =>
  (state.maxParams === null || cost[PARAMS] <= state.maxParams) && (state.maxMacs === null || cost[MACS] <= state.maxMacs);

// The front where it is known, and null while all choices of the stages are searched.
function frontIn(state, points) {
  staged.asked = state.each === "own" ? staged.asked : "";
  if (state.each === "own") return stagedPoints(state, () => keepingFocus(() => renderFront(ui.state, ui.cost, changeView)));
  return frontOf(points, ...axesOf(state), state.want);
}

const axesOf = ({ x, y }) => [QUANTITIES.indexOf(x), QUANTITIES.indexOf(y)];

function renderFront(state, cost, change) {
  const all = spaceOf(state);
  const points = all.filter((point) => fits(state, point.cost));
  const found = frontIn(state, points);
  const front = found ?? [];
  const plain = plainNetworks(state);
  drawFront(state, { all, points, front, plain, cost });
  byId("front").setAttribute("aria-busy", String(!found));
  byId("front-count").textContent = countWords(state, all, points, found);
  byId("front-body").replaceChildren(...front.map((point) => frontRow(state, point, change)));
  byId("plain-body").replaceChildren(...plain.map((network) => plainRow(network, ...axesOf(state))));
  byId("front-x").textContent = LABELS[state.x];
  byId("front-y").textContent = LABELS[state.y];
  byId("search-command").replaceChildren(...optionsOf(searchCommandOf(state)));
  byId("search-box").hidden = searchCommandOf(state) === "";
}

function drawFront(state, { all, points, front, plain, cost }) {
  const [x, y] = axesOf(state);
  const scale = scales([...all, ...front, ...plain, { cost }], x, y);
  const at = ({ cost: c }) => [scale.x.at(c[x]).toFixed(1), scale.y.at(c[y]).toFixed(1)];
  const drawn = svg(
    "svg",
    {
      viewBox: `0 0 ${PLOT.width} ${PLOT.height}`,
      role: "img",
      "aria-label": frontWords(state, points, front),
    },
    ...axes(scale, x, y),
    ...budgetMarks(state, scale, x, y),
    ...frontMarks(points, front, at),
    ...plain.map((network) => plainMark(network, at(network))),
    ...currentMarks(at({ cost })),
  );
  byId("front").replaceChildren(drawn);
  const marked = state.each === "own" ? [...front, ...points] : points;
  chart.marks = marked.map((point) => ({ ...point, place: at(point).map(Number) }));
}

function countWords(state, all, points, front) {
  const within = points.length < all.length ? `, ${grouped(points.length)} within budget` : "";
  if (state.each === "alike")
    return `${grouped(all.length)} configurations${within}, ${front.length} on the front`;
  const size = grouped(stagedSize(state));
  const found = front ? `${grouped(front.length)} of ${size} configurations are on the front` : `searching ${size} configurations…`;
  return `${grouped(all.length)} in which the stages choose alike${within}; ${found}`;
}

function frontWords(state, points, front) {
  const sense = state.want === "most" ? "most" : "least";
  const count = state.each === "own" ? stagedSize(state) : points.length;
  return `${grouped(count)} configurations; ${front.length} of them have the ${sense} ${LABELS[state.y].toLowerCase()} for their ${LABELS[state.x]}. The table below lists them.`;
}

function plainRow({ depth, cost }, x, y) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, `plain resnet${depth}`),
    element("td", { class: "number" }, grouped(cost[x])),
    element("td", { class: "number" }, grouped(cost[y])),
  );
}

function choiceWords(net) {
  const compressed = net.stages.some(({ paths }) => paths.size) ? `beta ${betaText(net)}, ${pathSetsText(net)}` : "no bottlenecks";
  return `alpha ${alphaText(net)}, ${compressed}`;
}

function frontRow(state, { net, cost }, change) {
  const name = choiceWords(net);
  const [x, y] = axesOf(state);
  const button = element("button", { type: "button", class: "load", "data-key": `front ${name}` }, name);
  button.addEventListener("click", () => change({ stages: net.stages }));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, button),
    element("td", { class: "number" }, grouped(cost[x])),
    element("td", { class: "number" }, grouped(cost[y])),
  );
}

// Under the pointer stands the nearest configuration; a click loads it. The table does the same by keyboard.
const chart = { marks: [] };
const NEAR = 14;

function markNear(event) {
  const box = byId("front").querySelector("svg").getBoundingClientRect();
  const place = [
    ((event.clientX - box.left) * PLOT.width) / box.width,
    ((event.clientY - box.top) * PLOT.height) / box.height,
  ];
  const distance = ({ place: [x, y] }) => Math.hypot(x - place[0], y - place[1]);
  const found = chart.marks.reduce((best, mark) => (!best || distance(mark) < distance(best) ? mark : best), null);
  return found && distance(found) < NEAR ? found : null;
}

function showTip(event) {
  const found = markNear(event);
  const tip = byId("front-tip");
  tip.hidden = !found;
  byId("front").classList.toggle("over-point", Boolean(found));
  if (!found) return;
  const [params, macs] = [PARAMS, MACS].map((i) => grouped(found.cost[i]));
  tip.textContent = `${choiceWords(found.net)}: ${params} parameters, ${macs} MACs`;
}

function connectFront() {
  const front = byId("front");
  front.addEventListener("pointermove", showTip);
  front.addEventListener("pointerleave", () => {
    byId("front-tip").hidden = true;
  });
  front.addEventListener("click", (event) => {
    const found = markNear(event);
    if (found) changeView({ stages: found.net.stages });
  });
}
