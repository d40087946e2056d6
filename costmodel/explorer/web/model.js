// The network, walked on sizes. What an operator costs is asked of FORMULAS, which Python printed.
// All arithmetic is on whole numbers below 2^53, and `whole` checks that it stays there.

const PATHS = ["HH", "HL", "LH", "LL"];
const STAGES = [0, 1, 2];

const floorDiv = (a, b) => (a - (a % b)) / b;
const ceilDiv = (a, b) => floorDiv(a + b - 1, b);

function whole(value) {
  if (!Number.isSafeInteger(value)) throw new RangeError(`a count leaves the exact range: ${value}`);
  return value;
}

// The rounding rule. A ratio is {p, q}, in lowest terms.
const lowChannels = (channels, alpha) => floorDiv(channels * alpha.p, alpha.q);

function split(channels, alpha) {
  const low = lowChannels(channels, alpha);
  return [channels - low, low];
}

const TWICE_WIDTH = {
  out: (cIn, cOut) => 2 * cOut,
  in: (cIn) => 2 * cIn,
  min: (cIn, cOut) => 2 * Math.min(cIn, cOut),
  mean: (cIn, cOut) => cIn + cOut,
};

function hidden(cIn, cOut, beta, rule) {
  return Math.max(1, floorDiv(TWICE_WIDTH[rule](cIn, cOut) * beta.q, 2 * beta.p));
}

const nothing = () => QUANTITIES.map(() => 0);
const plus = (a, b) => a.map((value, i) => whole(value + b[i]));
const times = (a, factor) => (factor === 1 ? a : a.map((value) => whole(value * factor)));
const sum = (costs) => (costs.length ? costs.reduce(plus) : nothing());

// Costs by path: the four paths, and all that belongs to none of them.
const SHARES = [...PATHS, "other"];
const plusShares = (a, b) => Object.fromEntries(SHARES.map((name) => [name, plus(a[name], b[name])]));
const timesShares = (a, factor) => Object.fromEntries(SHARES.map((name) => [name, times(a[name], factor)]));
const noShares = () => Object.fromEntries(SHARES.map((name) => [name, nothing()]));
const totalOf = (shares) => sum(Object.values(shares));

// A feature map is {c, size: [h, w]}; an octave map {high, low}, where a branch without channels is null.
const operator = (name, x, cOut = 0, k = 0) => FORMULAS[name].cost(x.c, cOut, 0, k, ...x.size);
const branches = (x) => [x.high, x.low].filter(Boolean);
const splitOf = (net, stage) => split(net.width * 2 ** stage, net.stages[stage].alpha);

function row(name, out, costs, paths = []) {
  const other = sum(costs);
  return { name, out, paths, other, cost: paths.reduce((total, path) => plus(total, path.cost), other) };
}

function sharesOf({ paths, other }) {
  return { ...noShares(), other, ...Object.fromEntries(paths.map(({ path, cost }) => [path, cost])) };
}

const eachBranch = (name, kind, x) => row(name, x, branches(x).map((y) => operator(kind, y)));

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
  const formula = FORMULAS[`${path}.${form}.${strideCase}`];
  const size = formula.size(...source.size);
  const upsamples = path === "LH" && strideCase !== "A";
  return {
    path, form, m, cIn: source.c, cOut: leaving, k: layer.k, size,
    cost: formula.cost(source.c, leaving, m, layer.k, ...source.size),
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
  const highSize = x.high ? x.high.size.map((side) => ceilDiv(side, layer.stride)) : into("H")[0]?.size;
  return {
    high: cOut[0] ? { c: cOut[0], size: highSize } : null,
    low: cOut[1] ? { c: cOut[1], size: into("L")[0].size } : null,
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
  const out = { high: high ? { c: high, size: x.high.size } : null, low: pooled };
  return { x: out, rows: [operator("pool", source)] };
}

function joinedShortcut(name, x) {
  if (!x.low) return { x, rows: [] };
  const up = { c: x.low.c, size: x.high ? x.high.size : x.low.size.map((side) => 2 * side) };
  const rows = [operator("upsample", x.low)];
  if (x.high) rows.push(operator("concatenate", { ...x.high }, up.c));
  return { x: { high: { c: (x.high?.c ?? 0) + up.c, size: up.size }, low: null }, rows };
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

function blockRows(net, x, place) {
  const { name, stage } = place;
  const middle = splitOf(net, stage);
  const cOut = place.isLast ? [net.width * 2 ** stage, 0] : middle;
  const stride = place.changes ? 2 : 1;
  const conv1 = octaveConv(net, `${name}.conv1`, x, middle, { k: 3, stride, stage, compress: !place.isFirst });
  const conv2 = octaveConv(net, `${name}.conv2`, conv1.out, cOut, { k: 3, stride: 1, stage, compress: !place.isLast });
  const rows = [
    conv1,
    eachBranch(`${name}.bn1`, "bn", conv1.out),
    eachBranch(`${name}.relu1`, "relu", conv1.out),
    conv2,
    eachBranch(`${name}.bn2`, "bn", conv2.out),
    ...shortcut(net, `${name}.shortcut`, x, cOut, place),
    eachBranch(`${name}.add`, "add", conv2.out),
    eachBranch(`${name}.relu2`, "relu", conv2.out),
  ];
  return { rows, out: conv2.out };
}

function placeOf(n, stage, block) {
  return {
    stage, block, name: `stages.${stage}.${block}`,
    isFirst: stage === 0 && block === 0,
    changes: stage > 0 && block === 0,
    isLast: stage === 2 && block === n - 1,
  };
}

// A plain network has standard convolutions, which carry their stride whatever the rule for octave ones.
const isPlain = (net) => net.stages.every(({ alpha, paths }) => alpha.p === 0 && !paths.has("HH"));

// The network in parts: stem, blocks, head. Inner blocks of a stage are all alike, so one stands for `times`.
function parts(config) {
  const net = isPlain(config) ? { ...config, strideRule: "C" } : config;
  const n = (net.depth - 2) / 6;
  const image = { c: 3, size: net.size };
  const stem = { high: { c: net.width, size: net.size }, low: null };
  const found = [{
    group: "stem", stage: null, times: 1,
    rows: [row("stem", stem, [operator("stem", image, net.width, 3)]),
      eachBranch("stem_bn", "bn", stem), eachBranch("stem_relu", "relu", stem)],
  }];
  let x = stem;
  for (const stage of STAGES) {
    for (const [block, repeats] of n < 3 ? [...Array(n).keys()].map((b) => [b, 1]) : [[0, 1], [1, n - 2], [n - 1, 1]]) {
      const place = placeOf(n, stage, block);
      const { rows, out } = blockRows(net, x, place);
      found.push({ group: place.name, stage, block, times: repeats, rows });
      x = out;
    }
  }
  const pooled = { high: { c: x.high.c, size: [1, 1] }, low: null };
  const logits = { high: { c: net.classes, size: [1, 1] }, low: null };
  found.push({
    group: "head", stage: null, times: 1,
    rows: [row("pool", pooled, [operator("global_pool", x.high)]),
      row("fc", logits, [operator("linear", pooled.high, net.classes)])],
  });
  return found;
}

// What the network costs, by path.
function networkShares(found) {
  return found
    .flatMap(({ rows, times: repeats }) => rows.map((r) => timesShares(sharesOf(r), repeats)))
    .reduce(plusShares, noShares());
}

// The total alone, for the many configurations of the front.
function networkCost(net) {
  return sum(parts(net).map(({ rows, times: repeats }) => times(sum(rows.map(({ cost }) => cost)), repeats)));
}

// One row a layer, in the order in which they run.
function layerRows(found) {
  return found.flatMap((part) => [...Array(part.times).keys()].flatMap((i) => {
    const group = part.block === undefined ? part.group : `stages.${part.stage}.${part.block + i}`;
    return part.rows.map((r) => ({ ...r, name: r.name.replace(part.group, group), group, stage: part.stage }));
  }));
}

// What a network is compared with: alpha 0 or the same alpha, and no bottlenecks.
function uncompressed(net, keepAlpha) {
  const choice = ({ alpha, beta }) => ({ alpha: keepAlpha ? alpha : { p: 0, q: 1 }, beta, paths: new Set() });
  return { ...net, stages: net.stages.map(choice) };
}
