// The exact front of all networks whose stages choose for themselves, without enumerating them: as in Python, what a
// stage costs depends on its choice and on a state that the stage before it leaves, so partial networks of one state
// compete. Costs are columns: 0 is minimised, 1 is too (its sign says so), and others have limits alone.

// A problem: {constant, stages, plain, sign, limits, compared}. `stages[s][state]` are the choices of stage s after a
// state: {to, plain, cost, pick}, where `cost` has all columns and `to` is the state that they lead to. `limits` are
// the most of each column. Where a limited column is not simply minimised, less of it can be worth more later: then
// only partial networks that have equally much of the `equal` columns are compared.
function* mergedFront(problem) {
  const rest = leastRest(problem);
  const last = problem.stages.length - 1;
  let states = new Map([["0 true", { state: 0, plain: true, partial: [{ cost: problem.constant, picks: null }] }]]);
  for (let stage = 0; stage < last; stage += 1) {
    const reached = new Map();
    for (const found of states.values()) {
      yield* extend(problem, stage, found, rest[stage + 1], reached);
    }
    for (const found of reached.values()) {
      found.partial = undominated(problem, found.partial);
      yield;
    }
    states = reached;
  }
  const front = staircase(problem);
  for (const found of states.values()) yield* finish(problem, last, found, front);
  return front.points();
}

function* extend(problem, stage, { state, plain, partial }, rest, reached) {
  for (const choice of blocksOf(problem, stage, state)) {
    const key = `${choice.to} ${plain && choice.plain}`;
    if (!reached.has(key)) reached.set(key, { state: choice.to, plain: plain && choice.plain, partial: [] });
    const into = reached.get(key).partial;
    for (const { cost, picks } of partial) {
      const sums = cost.map((value, i) => value + choice.cost[i]);
      if (sums.every((value, i) => value + rest[choice.to][i] <= problem.limits[i]))
        into.push({ cost: sums, picks: { before: picks, pick: choice.pick } });
    }
    yield;
  }
}

// Of the choices that lead to one state, those that no other beats.
function blocksOf(problem, stage, state) {
  const groups = Map.groupBy(problem.stages[stage][state], ({ to, plain }) => `${to} ${plain}`);
  return [...groups.values()].flatMap((choices) => undominated(problem, choices));
}

// Items with equal amounts of the `equal` columns compete in the first two; of equal ones the first stays.
function undominated({ sign, equal }, items) {
  const differ = (a, b) => equal.find((i) => a.cost[i] !== b.cost[i]);
  const order = [...items].sort((a, b) => {
    const i = differ(a, b);
    return i === undefined ? a.cost[0] - b.cost[0] || sign * (a.cost[1] - b.cost[1]) : a.cost[i] - b.cost[i];
  });
  let best = Infinity;
  return order.filter((item, i) => {
    if (i && differ(order[i - 1], item) !== undefined) best = Infinity;
    const better = sign * item.cost[1] < best;
    if (better) best = sign * item.cost[1];
    return better;
  });
}

// The least that the stages from each one on can cost, by the state before it.
function leastRest({ stages, constant }) {
  const rest = [];
  rest[stages.length] = stages.at(-1).flat().reduce((all, { to }) => ((all[to] = constant.map(() => 0)), all), []);
  for (let stage = stages.length - 1; stage >= 0; stage -= 1)
    rest[stage] = stages[stage].map((choices) =>
      constant.map((_, i) => choices.reduce((least, { to, cost }) => Math.min(least, cost[i] + rest[stage + 1][to][i]), Infinity)),
    );
  return rest;
}

// The last stage may have a hundred million sums. They are compared as they come, in arrays of numbers.
const ROWS = 64;
function* finish(problem, last, { state, plain, partial }, front) {
  const choices = blocksOf(problem, last, state)
    .filter((choice) => !(plain && choice.plain))
    .sort((a, b) => a.cost[0] - b.cost[0]);
  if (!choices.length) return;
  const [across, up] = [0, 1].map((i) => Float64Array.from(choices, ({ cost }) => (i ? problem.sign : 1) * cost[i]));
  const least = up.reduce((a, b) => Math.min(a, b));
  const limited = problem.limits.map((_, i) => i).filter((i) => problem.limits[i] < Infinity);
  const fits = (cost, choice) => limited.every((i) => cost[i] + choice.cost[i] <= problem.limits[i]);
  for (let row = 0; row < partial.length; row += 1) {
    const { cost, picks } = partial[row];
    const [x, y] = [cost[0], problem.sign * cost[1]];
    for (let j = 0; j < choices.length && front.takes(x + across[j], y + least); j += 1)
      if (front.takes(x + across[j], y + up[j]) && fits(cost, choices[j]))
        front.add(x + across[j], y + up[j], picks, choices[j].pick);
    if (row % ROWS === ROWS - 1) yield;
  }
}

// The best found so far: per narrow range of the first column, what the second is where the first is no larger.
const RANGES = 4096;
const MOST_KEPT = 100000;
function staircase({ constant, stages }) {
  const all = stages.map((states) => states.flat());
  const end = (pick) => all.reduce((total, choices) => total + choices.reduce((v, { cost }) => pick(v, cost[0]), choices[0].cost[0]), constant[0]);
  const [low, high] = [end(Math.min), end(Math.max) + 1];
  const best = new Float64Array(RANGES + 1).fill(Infinity);
  const scale = RANGES / (high - low);
  const range = (x) => Math.floor((x - low) * scale);
  let kept = [];
  const compact = () => {
    kept.sort((a, b) => a.x - b.x || a.y - b.y);
    let least = Infinity;
    kept = kept.filter(({ y }) => y < least && ((least = y), true));
  };
  return {
    takes: (x, y) => y < best[range(x)],
    add(x, y, picks, pick) {
      kept.push({ x, y, picks, pick });
      for (let r = range(x) + 1; r <= RANGES && best[r] > y; r += 1) best[r] = y;
      if (kept.length > MOST_KEPT) compact();
    },
    points() {
      compact();
      return kept.map(({ x, y, picks, pick }) => ({ x, y, picks: [...pickList(picks), pick] }));
    },
  };
}

const pickList = (picks) => (picks ? [...pickList(picks.before), picks.pick] : []);

// A search runs in slices, between which the page answers.
const SLICE_MS = 12;
const pause = () => new Promise((resume) => setTimeout(resume));

async function inSlices(steps, isWanted) {
  let since = performance.now();
  for (;;) {
    const { done, value: found } = steps.next();
    if (done) return found;
    if (performance.now() - since < SLICE_MS) continue;
    await pause();
    if (!isWanted()) return null;
    since = performance.now();
  }
}
