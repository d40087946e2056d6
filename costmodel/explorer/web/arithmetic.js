// Arithmetic on whole numbers below 2^53; `whole` checks that it stays there. The rounding rule; sums of costs.

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
