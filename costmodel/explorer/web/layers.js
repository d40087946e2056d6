// Layers, walked on sizes: what each path of an octave convolution costs is asked of FORMULAS, which Python printed.

// A feature map is {c, size: [h, w]}; an octave map {high, low, size}, where a branch without channels is null and
// size is the high branch's, whether or not it exists.
const operator = (name, x, cOut = 0, k = 0) => asked(name, [x.c, cOut, 0, k, ...x.size]);

// A cost remembers what was asked, so that a time can be predicted of it.
function asked(name, args) {
  const cost = FORMULAS[name].cost(...args);
  cost.call = { name, args };
  return cost;
}
const branches = (x) => [x.high, x.low].filter(Boolean);
const splitOf = (net, stage) => split(net.width * 2 ** stage, net.stages[stage].alpha);

function row(name, out, costs, paths = []) {
  const other = sum(costs);
  const calls = [...costs, ...paths.map(({ cost }) => cost)].map(({ call }) => call);
  return { name, out, paths, other, calls, cost: paths.reduce((total, path) => plus(total, path.cost), other) };
}

function sharesOf({ paths, other }) {
  return { ...noShares(), other, ...Object.fromEntries(paths.map(({ path, cost }) => [path, cost])) };
}

const eachBranch = (name, kind, x) =>
  row(
    name,
    x,
    branches(x).map((y) => operator(kind, y)),
  );

// One path of an octave convolution, or null where it has no channels at one end.
function pathCost(net, x, cOut, layer, path) {
  const source = path[0] === "H" ? x.high : x.low;
  const leaving = cOut["HL".indexOf(path[1])];
  if (!source || leaving === 0) return null;
  const choice = layer.compress ? net.stages[layer.stage] : null;
  const isBottleneck = choice !== null && choice.paths.has(path);
  const m = isBottleneck ? hidden(source.c, leaving, choice.beta, net.widthRule) : 0;
  const strideCase = layer.stride === 1 ? "1" : net.strideRule;
  const form = isBottleneck ? net.between : "plain";
  const name = `${path}.${form}.${strideCase}`;
  const size = FORMULAS[name].size(...source.size);
  const upsamples = path === "LH" && strideCase !== "A";
  return {
    path,
    form,
    m,
    cIn: source.c,
    cOut: leaving,
    k: layer.k,
    size,
    cost: asked(name, [source.c, leaving, m, layer.k, ...source.size]),
    single: FORMULAS[`${path}.plain.${strideCase}`].cost(source.c, leaving, 0, layer.k, ...source.size),
    convolved: upsamples ? size.map((side) => floorDiv(side, 2)) : size,
  };
}

// By rules A and B the branches are averaged by the stride first, once for all the paths that start there.
function stridePools(net, x, layer, paths) {
  if (layer.stride === 1 || net.strideRule === "C") return [];
  const pooled = paths.filter(({ path }) => !(net.strideRule === "A" && path === "LH"));
  return ["H", "L"]
    .filter((branch) => pooled.some(({ path }) => path[0] === branch))
    .map((branch) => operator("pool", branch === "H" ? x.high : x.low));
}

function outputMap(x, cOut, layer, paths) {
  const into = (branch) => paths.filter(({ path }) => path[1] === branch);
  const size = x.size.map((side) => ceilDiv(side, layer.stride));
  return {
    high: cOut[0] ? { c: cOut[0], size } : null,
    low: cOut[1] ? { c: cOut[1], size: into("L")[0].size } : null,
    size,
  };
}

function octaveConv(net, name, x, cOut, layer) {
  const paths = PATHS.map((path) => pathCost(net, x, cOut, layer, path)).filter(Boolean);
  const out = outputMap(x, cOut, layer, paths);
  const meets = (branch) => paths.filter(({ path }) => path[1] === branch).length === 2;
  const adds = ["H", "L"].filter(meets).map((branch) => operator("add", branch === "H" ? out.high : out.low));
  return { ...row(name, out, [...stridePools(net, x, layer, paths), ...adds], paths), x, layer };
}

// The parameter-free shortcuts of the first and the last block.
function splitShortcut(name, x, [high, low]) {
  if (low === 0 || !x.high) return { x, rows: [] };
  const source = { c: low, size: x.high.size };
  const pooled = { c: low, size: FORMULAS.pool.size(...source.size) };
  const out = { high: high ? { c: high, size: x.size } : null, low: pooled, size: x.size };
  return { x: out, rows: [operator("pool", source)] };
}

function joinedShortcut(name, x) {
  if (!x.low) return { x, rows: [] };
  const up = { c: x.low.c, size: x.size };
  const rows = [operator("upsample", x.low)];
  if (x.high) rows.push(operator("concatenate", { ...x.high }, up.c));
  return { x: { high: { c: (x.high?.c ?? 0) + up.c, size: up.size }, low: null, size: x.size }, rows };
}

function shortcut(net, name, x, cOut, place) {
  if (place.changes) {
    const layer = { k: 1, stride: 2, stage: place.stage, compress: false };
    return [octaveConv(net, name, x, cOut, layer)];
  }
  const first = place.isFirst ? splitShortcut(name, x, splitOf(net, place.stage)) : { x, rows: [] };
  const last = place.isLast ? joinedShortcut(name, first.x) : { x: first.x, rows: [] };
  const costs = [...first.rows, ...last.rows];
  return costs.length ? [row(name, last.x, costs)] : [];
}
