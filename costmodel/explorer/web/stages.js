// What each stage costs by its choice and the alpha of the stage before: tables for `mergedFront`, as in Python.

const HALF = ratio(1, 2);

// With an odd size, a stage without a high branch makes later sizes depend on more than one alpha.
const stageAlphas = ({ size }) =>
  size.every((side) => side % 8 === 0) ? SPACE.alphas : SPACE.alphas.filter(({ p, q }) => p < q);
const spaceBetas = ({ width }) => SPACE.betas.filter((beta) => beta.p <= width * beta.q);

function stageChoices(state) {
  const betas = spaceBetas(state);
  const sets = [...SPACE.paths].sort((a, b) => a.size - b.size); // of equal costs, the simplest stays
  return stageAlphas(state).flatMap((alpha, to) =>
    sets.flatMap((paths) =>
      (paths.size ? betas : [ratio(2)]).map((beta, b) => ({ alpha, beta, paths, to, b: paths.size ? b : 0 })),
    ),
  );
}

// Shares of each stage by its alpha and that before it, as networks of alphas [a, b, a] have them: two stages of each
// network count, or three. In a plain network, none does.
function* stageShares(state, choice) {
  const alphas = stageAlphas(state);
  const found = STAGES.map(() => alphas.map(() => []));
  const shares = (stages) => {
    const costed = parts({ ...state, stages: stages.map((alpha) => ({ ...choice, alpha })) });
    return STAGES.map((stage) => networkShares(costed.filter((part) => part.stage === stage)));
  };
  for (const [i, a] of alphas.entries())
    for (const [j, b] of alphas.entries()) {
      if (a.p || b.p) {
        [found[0][0][i], found[1][i][j], found[2][j][i]] = shares([a, b, a]);
      } else {
        [found[0][0][i], found[1][i][j]] = shares([a, b, HALF]);
        [, , found[2][j][i]] = shares([HALF, b, a]);
      }
      yield;
    }
  return found;
}

// A stage costs what its paths cost, each by itself a single convolution or a bottleneck. While budgets move, this stays.
const stageCosts = { key: "", found: null };
function* stageTables(state) {
  const key = backboneKey(state);
  if (stageCosts.key !== key) {
    const plain = yield* stageShares(state, { beta: ratio(2), paths: new Set() });
    const compressed = [];
    for (const beta of spaceBetas(state)) compressed.push(yield* stageShares(state, { beta, paths: new Set(PATHS) }));
    Object.assign(stageCosts, { key, found: { plain, compressed } });
  }
  return stageCosts.found;
}

function stageTable({ plain, compressed }, choices, stage, before, columns) {
  return choices.map((choice) => {
    const { to, b, paths, alpha } = choice;
    const shares = SHARES.map((name) => (paths.has(name) ? compressed[b] : plain)[stage][before][to][name]);
    return {
      to: stage === STAGES.length - 1 ? 0 : to,
      plain: alpha.p === 0 && !paths.has("HH"),
      cost: columns.map((i) => shares.reduce((total, share) => total + share[i], 0)),
      pick: choice,
    };
  });
}

function* stageProblem(state) {
  const [x, y] = [QUANTITIES.indexOf(state.x), QUANTITIES.indexOf(state.y)];
  const budgets = [
    [PARAMS, state.maxParams],
    [MACS, state.maxMacs],
  ].filter(([, most]) => most !== null);
  const columns = [x, y, ...budgets.map(([quantity]) => quantity)];
  const costs = yield* stageTables(state);
  const [alphas, choices] = [stageAlphas(state), stageChoices(state)];
  const stages = STAGES.map(() => []);
  for (const stage of STAGES)
    for (const before of stage ? alphas.keys() : [0]) {
      stages[stage].push(stageTable(costs, choices, stage, before, columns));
      yield;
    }
  const outside = totalOf(networkShares(parts(uncompressed(state, false)).filter((part) => part.stage === null)));
  const isMinimised = (quantity) => quantity === x || (quantity === y && state.want === "least");
  return {
    constant: columns.map((i) => outside[i]),
    stages,
    sign: state.want === "most" ? -1 : 1,
    limits: [Infinity, Infinity, ...budgets.map(([, most]) => most)],
    equal: columns.map((_, i) => i).filter((i) => i > 1 && !isMinimised(columns[i])),
  };
}

// All points, the plain network among them: by stride rules A and B it is no sum of stages of alpha 0.
function* stagedFront(state) {
  const problem = yield* stageProblem(state);
  const found = yield* mergedFront(problem);
  const nets = found.map(({ picks }) => ({ ...state, stages: picks.map(({ alpha, beta, paths }) => ({ alpha, beta, paths })) }));
  const points = [uncompressed(state, false), ...nets].map((net) => ({ net, cost: networkCost(net) }));
  const [x, y] = [QUANTITIES.indexOf(state.x), QUANTITIES.indexOf(state.y)];
  return frontOf(points.filter(({ cost }) => fits(state, cost)), x, y, state.want);
}

const stagedSize = (state) => {
  const sets = SPACE.paths.length * spaceBetas(state).length || 1;
  return (stageAlphas(state).length * sets) ** STAGES.length;
};

// What is asked next ends a search; its last answer is kept.
const staged = { asked: "", key: "", points: [] };

const questionOf = (state) => [backboneKey(state), state.x, state.y, state.want, state.maxParams, state.maxMacs].join();

// The front if it is known; else the search begins, and `show` is called with what it finds.
function stagedPoints(state, show) {
  const key = questionOf(state);
  if (staged.key === key) return staged.points;
  if (staged.asked !== key) {
    staged.asked = key;
    inSlices(stagedFront(state), () => staged.asked === key).then((points) => {
      if (points === null) return;
      Object.assign(staged, { key, points });
      show();
    });
  }
  return null;
}
