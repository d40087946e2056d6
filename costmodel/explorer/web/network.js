// The network: its blocks, its parts, its totals, and a row per layer.

function blockRows(net, x, place) {
  const { name, stage } = place;
  const middle = splitOf(net, stage);
  const cOut = place.isLast ? [net.width * 2 ** stage, 0] : middle;
  const stride = place.changes ? 2 : 1;
  const conv1 = octaveConv(net, `${name}.conv1`, x, middle, {
    k: 3,
    stride,
    stage,
    compress: !place.isFirst,
  });
  const conv2 = octaveConv(net, `${name}.conv2`, conv1.out, cOut, {
    k: 3,
    stride: 1,
    stage,
    compress: !place.isLast,
  });
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
    stage,
    block,
    name: `stages.${stage}.${block}`,
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
  const stem = { high: { c: net.width, size: net.size }, low: null, size: net.size };
  const found = [
    {
      group: "stem",
      stage: null,
      times: 1,
      rows: [
        row("stem", stem, [operator("stem", image, net.width, 3)]),
        eachBranch("stem_bn", "bn", stem),
        eachBranch("stem_relu", "relu", stem),
      ],
    },
  ];
  let x = stem;
  for (const stage of STAGES) {
    for (const [block, repeats] of n < 3
      ? [...Array(n).keys()].map((b) => [b, 1])
      : [
          [0, 1],
          [1, n - 2],
          [n - 1, 1],
        ]) {
      const place = placeOf(n, stage, block);
      const { rows, out } = blockRows(net, x, place);
      found.push({ group: place.name, stage, block, times: repeats, rows });
      x = out;
    }
  }
  const pooled = { high: { c: x.high.c, size: [1, 1] }, low: null };
  const logits = { high: { c: net.classes, size: [1, 1] }, low: null };
  found.push({
    group: "head",
    stage: null,
    times: 1,
    rows: [
      row("pool", pooled, [operator("global_pool", x.high)]),
      row("fc", logits, [operator("linear", pooled.high, net.classes)]),
    ],
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

// One row per layer, in the order in which they run.
function layerRows(found) {
  return found.flatMap((part) =>
    [...Array(part.times).keys()].flatMap((i) => {
      const group = part.block === undefined ? part.group : `stages.${part.stage}.${part.block + i}`;
      return part.rows.map((r) => ({
        ...r,
        name: r.name.replace(part.group, group),
        group,
        stage: part.stage,
      }));
    }),
  );
}

// What a network is compared with: alpha 0 or the same alpha, and no bottlenecks.
function uncompressed(net, keepAlpha) {
  const choice = ({ alpha, beta }) => ({ alpha: keepAlpha ? alpha : { p: 0, q: 1 }, beta, paths: new Set() });
  return { ...net, stages: net.stages.map(choice) };
}

// The layers that one may look at: what they are called, and their name in a network of n blocks a stage.
const LAYERS = {
  first: ["Stage 1, first convolution", () => "stages.0.0.conv1"],
  s1: ["Stage 1", () => "stages.0.0.conv2"],
  c2: ["Stage 2, stride 2", () => "stages.1.0.conv1"],
  s2: ["Stage 2", () => "stages.1.0.conv2"],
  c3: ["Stage 3, stride 2", () => "stages.2.0.conv1"],
  s3: ["Stage 3", () => "stages.2.0.conv2"],
  last: ["Stage 3, last convolution", (n) => `stages.2.${n - 1}.conv2`],
  sc2: ["Stage 2, shortcut", () => "stages.1.0.shortcut"],
  sc3: ["Stage 3, shortcut", () => "stages.2.0.shortcut"],
};
