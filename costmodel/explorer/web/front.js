// All configurations of a backbone, and their Pareto front.

// Every alpha in eighths, some betas, every set of paths: the configurations of the chart.
const SPACE = {
  alphas: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((p) => ratio(p, 8)),
  betas: [ratio(2), ratio(8, 3), ratio(4), ratio(8)],
  paths: [...Array(16).keys()].map((mask) => new Set(PATHS.filter((_, bit) => (mask >> bit) & 1))),
};

function* configurations(state) {
  for (const alpha of SPACE.alphas)
    for (const paths of SPACE.paths)
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

function renderFront(state, cost, change) {
  const [x, y] = [QUANTITIES.indexOf(state.x), QUANTITIES.indexOf(state.y)];
  const points = spaceOf(state);
  const front = frontOf(points, x, y, state.want);
  const plain = plainNetworks(state);
  const scale = scales([...points, ...plain, { cost }], x, y);
  const at = ({ cost: c }) => [scale.x.at(c[x]).toFixed(1), scale.y.at(c[y]).toFixed(1)];
  const drawn = svg(
    "svg",
    {
      viewBox: `0 0 ${PLOT.width} ${PLOT.height}`,
      role: "img",
      "aria-label": frontWords(state, points, front),
    },
    ...axes(scale, x, y),
    ...frontMarks(points, front, at),
    ...plain.map((network) => plainMark(network, at(network))),
    ...currentMarks(at({ cost })),
  );
  byId("front").replaceChildren(drawn);
  byId("front-count").textContent = `${grouped(points.length)} configurations, ${front.length} on the front`;
  byId("front-body").replaceChildren(...front.map((point) => frontRow(point, x, y, change)));
  byId("plain-body").replaceChildren(...plain.map((network) => plainRow(network, x, y)));
  byId("front-x").textContent = LABELS[state.x];
  byId("front-y").textContent = LABELS[state.y];
}

function frontWords(state, points, front) {
  const sense = state.want === "most" ? "most" : "least";
  return `${points.length} configurations; ${front.length} of them have the ${sense} ${LABELS[state.y].toLowerCase()} for their ${LABELS[state.x]}. The table below lists them.`;
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

function frontRow({ net, cost }, x, y, change) {
  const { alpha, beta, paths } = net.stages[0];
  const compressed = paths.size ? `beta ${ratioText(beta)}, ${pathsText(paths)}` : "no bottlenecks";
  const name = `alpha ${ratioText(alpha)}, ${compressed}`;
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
