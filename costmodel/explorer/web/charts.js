// Charts: cost by path beside what the network is compared with; all configurations with their Pareto front.

function comparison(state, cost, shares) {
  const variants = [
    ["plain", uncompressed(state, false)], ["octave", uncompressed(state, true)],
  ].map(([name, net]) => ({ name, shares: networkShares(parts(net)) }));
  const all = [...variants, { name: "this", shares }].map((v) => ({ ...v, cost: totalOf(v.shares) }));
  return all.map((v) => ({ ...v, changes: v.cost.map((value, i) => percent(value, all[0].cost[i])) }));
}

function stackedBar(variant, i, most) {
  const parts = SHARES.filter((name) => variant.shares[name][i] > 0).map((name) =>
    element("span", { class: `part ${name}`, style: `width:${((100 * variant.shares[name][i]) / most).toFixed(3)}%` }));
  return element("div", { class: "bar", "aria-hidden": "true" }, ...parts);
}

function comparedRow(variant, compared) {
  const cells = [PARAMS, MACS].map((i) => {
    const most = Math.max(...compared.map(({ cost }) => cost[i]));
    const change = variant.name === "plain" ? "" : variant.changes[i];
    return element("td", { "data-cell": `${variant.name}.${QUANTITIES[i]}` },
      element("div", { class: "figures" }, element("span", { class: "value" }, grouped(variant.cost[i])), element("span", { class: "change" }, change)),
      stackedBar(variant, i, most));
  });
  return element("tr", {}, element("th", { scope: "row" }, variant.name), ...cells);
}

function shareRow(name, shares) {
  const cells = [PARAMS, MACS].map((i) =>
    element("td", { class: "number", "data-cell": `${name}.${QUANTITIES[i]}` }, grouped(shares[name][i])));
  return element("tr", {}, element("th", { scope: "row" }, element("span", { class: `key ${name}` }, name)), ...cells);
}

function renderComparison(compared, shares) {
  byId("compared-body").replaceChildren(...compared.map((variant) => comparedRow(variant, compared)));
  byId("shares-body").replaceChildren(...SHARES.map((name) => shareRow(name, shares)));
}

// Every alpha in eighths, some betas, every set of paths: the configurations of the chart.
const SPACE = {
  alphas: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((p) => ratio(p, 8)),
  betas: [ratio(2), ratio(8, 3), ratio(4), ratio(8)],
  paths: [...Array(16).keys()].map((mask) => new Set(PATHS.filter((_, bit) => (mask >> bit) & 1))),
};

function* configurations(state) {
  for (const alpha of SPACE.alphas) for (const paths of SPACE.paths)
    for (const beta of paths.size ? SPACE.betas : [ratio(2)])
      if (!paths.size || beta.p <= state.width * beta.q)
        yield { ...state, stages: STAGES.map(() => ({ alpha, beta, paths })) };
}

// The space depends on the backbone alone; while alpha, beta and paths move, its costs stay.
const space = { key: "", points: [] };
function spaceOf(state) {
  const { depth, size, width, classes, strideRule, widthRule, between } = state;
  const key = JSON.stringify([depth, size, width, classes, strideRule, widthRule, between]);
  if (space.key !== key) {
    space.points = [...configurations(state)].map((net) => ({ net, cost: networkCost(net) }));
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

const PLOT = { left: 52, right: 34, top: 12, bottom: 40, width: 460, height: 300 };

function scales(points, x, y) {
  const span = (i, from, to) => {
    const values = points.map(({ cost }) => cost[i]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const [low, high] = [least * 0.85, most * 1.08];
    return { at: (value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low), low, high };
  };
  return {
    x: span(x, PLOT.left, PLOT.width - PLOT.right),
    y: span(y, PLOT.height - PLOT.bottom, PLOT.top),
  };
}

// Round numbers between two values: 1, 2 and 5 times powers of ten, or more of them where these are few.
function ticks({ low, high }) {
  const within = (digits) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
      found.push(...digits.map((digit) => digit * 10 ** power));
    return found.filter((value) => value >= low && value <= high);
  };
  const few = within([1, 2, 5]);
  return few.length >= 3 ? few.slice(0, 7) : within([1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]).slice(0, 7);
}

function axes(scale, x, y) {
  const base = PLOT.height - PLOT.bottom;
  const across = ticks(scale.x).map((value) => svg("g", { class: "tick" },
    svg("line", { x1: scale.x.at(value), x2: scale.x.at(value), y1: PLOT.top, y2: base }),
    svg("text", { x: scale.x.at(value), y: base + 15, "text-anchor": "middle" }, short(value))));
  const up = ticks(scale.y).map((value) => svg("g", { class: "tick" },
    svg("line", { x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: scale.y.at(value), y2: scale.y.at(value) }),
    svg("text", { x: PLOT.left - 6, y: scale.y.at(value) + 4, "text-anchor": "end" }, short(value))));
  const middle = (PLOT.top + base) / 2;
  return [...across, ...up,
    svg("text", { class: "axis", x: (PLOT.left + PLOT.width) / 2, y: PLOT.height - 6, "text-anchor": "middle" }, `${LABELS[QUANTITIES[x]]} (log)`),
    svg("text", { class: "axis", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, `${LABELS[QUANTITIES[y]]} (log)`)];
}

function renderFront(state, cost, change) {
  const [x, y] = [QUANTITIES.indexOf(state.x), QUANTITIES.indexOf(state.y)];
  const points = spaceOf(state);
  const front = frontOf(points, x, y, state.want);
  const plain = plainNetworks(state);
  const scale = scales([...points, ...plain, { cost }], x, y);
  const at = ({ cost: c }) => [scale.x.at(c[x]).toFixed(1), scale.y.at(c[y]).toFixed(1)];
  const drawn = svg("svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, role: "img", "aria-label": frontWords(state, points, front) },
    ...axes(scale, x, y), ...frontMarks(points, front, at), ...plain.map((network) => plainMark(network, at(network))),
    ...currentMarks(at({ cost })));
  byId("front").replaceChildren(drawn);
  byId("front-count").textContent = `${grouped(points.length)} configurations, ${front.length} on the front`;
  byId("front-body").replaceChildren(...front.map((point) => frontRow(point, x, y, change)));
  byId("plain-body").replaceChildren(...plain.map((network) => plainRow(network, x, y)));
  byId("front-x").textContent = LABELS[state.x];
  byId("front-y").textContent = LABELS[state.y];
}

function frontMarks(points, front, at) {
  const cloud = points.map(at).map(([px, py]) => `M${px} ${py}h0`).join("");
  const line = front.map(at).map(([px, py], i) => (i ? `H${px}V${py}` : `M${px} ${py}`)).join("");
  return [svg("path", { class: "cloud", d: cloud }), svg("path", { class: "front", d: line }),
    ...front.map(at).map(([cx, cy]) => svg("circle", { class: "front-point", cx, cy, r: 3.5 }))];
}

const plainMark = ({ depth }, [x, y]) => svg("g", { class: "plain-network" },
  svg("rect", { x: x - 4, y: y - 4, width: 8, height: 8 }), svg("text", { x: Number(x) + 7, y: Number(y) + 4 }, String(depth)));

const currentMarks = ([cx, cy]) =>
  [svg("circle", { class: "current-halo", cx, cy, r: 9 }), svg("circle", { class: "current", cx, cy, r: 5 })];

function frontWords(state, points, front) {
  const sense = state.want === "most" ? "most" : "least";
  return `${points.length} configurations; ${front.length} of them have the ${sense} ${LABELS[state.y].toLowerCase()} for their ${LABELS[state.x]}. The table below lists them.`;
}

function plainRow({ depth, cost }, x, y) {
  return element("tr", {}, element("th", { scope: "row" }, `plain resnet${depth}`),
    element("td", { class: "number" }, grouped(cost[x])), element("td", { class: "number" }, grouped(cost[y])));
}

function frontRow({ net, cost }, x, y, change) {
  const { alpha, beta, paths } = net.stages[0];
  const compressed = paths.size ? `beta ${ratioText(beta)}, ${pathsText(paths)}` : "no bottlenecks";
  const name = `alpha ${ratioText(alpha)}, ${compressed}`;
  const button = element("button", { type: "button", class: "load" }, name);
  button.addEventListener("click", () => change({ stages: net.stages }));
  return element("tr", {}, element("th", { scope: "row" }, button),
    element("td", { class: "number" }, grouped(cost[x])), element("td", { class: "number" }, grouped(cost[y])));
}
