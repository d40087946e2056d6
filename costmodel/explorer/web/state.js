// The state of the page: read from the link, written back to it, and checked with the messages of Python.

class InputError extends Error {}

const LIMITS = { depth: [8, 1202], width: [1, 256], classes: [1, 10000], side: [1, 1024], part: 1000000 };
const CHOICES = {
  strideRule: ["C", "B", "A"], widthRule: ["out", "in", "min", "mean"], between: ["none", "bn", "bn_relu"],
  rows: ["stages", "blocks", "layers"], layer: ["first", "s1", "c2", "s2", "c3", "s3", "last", "sc2", "sc3"],
  sort: ["order", "name", ...QUANTITIES], direction: ["down", "up"],
  x: QUANTITIES, y: QUANTITIES, want: ["most", "least"],
};

const ratio = (p, q = 1) => {
  const divisor = gcd(p, q);
  return { p: p / divisor, q: q / divisor };
};
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
const ratioText = ({ p, q }) => (q === 1 ? String(p) : `${p}/${q}`);
const sameRatio = (a, b) => a.p === b.p && a.q === b.q;

// Up to 15 digits: such numbers are exact, and so is the power of ten below a decimal.
function readRatio(text) {
  const fraction = /^\s*(\d{1,15})\s*\/\s*(\d{1,15})\s*$/.exec(text);
  if (fraction) return Number(fraction[2]) ? ratio(Number(fraction[1]), Number(fraction[2])) : null;
  const [, whole, places = ""] = /^\s*(\d*)\.?(\d*)\s*$/.exec(text) ?? [];
  const digits = (whole ?? "") + places;
  return /^\d{1,15}$/.test(digits) ? ratio(Number(digits), 10 ** places.length) : null;
}

function parseRatio(text, name) {
  const value = readRatio(text);
  if (value === null) throw new InputError(`${name} must be a number such as 0.25 or 1/4, got ${text}`);
  if (Math.max(value.p, value.q) > LIMITS.part)
    throw new InputError(`${name} must be a ratio of numbers up to ${LIMITS.part} on this page, got ${text}`);
  return value;
}

function parseAlpha(text) {
  const value = parseRatio(text, "alpha");
  if (value.p > value.q) throw new InputError(`alpha must be in [0, 1], got ${text.trim()}`);
  return value;
}

function parseBeta(text) {
  const value = parseRatio(text, "beta");
  if (value.p < value.q) throw new InputError(`beta must be at least 1, got ${text.trim()}`);
  return value;
}

function parsePaths(text) {
  const given = text.trim().toUpperCase();
  if (given === "NONE" || given === "ALL") return new Set(given === "ALL" ? PATHS : []);
  const names = given.split(",");
  if (!names.every((name) => PATHS.includes(name)))
    throw new InputError(`paths must be some of ${PATHS.join()}, all or none, got ${text}`);
  return new Set(names);
}

const pathsText = (paths) =>
  paths.size === 0 ? "none" : paths.size === 4 ? "all" : PATHS.filter((path) => paths.has(path)).join();

function parseWhole(text, name) {
  const [least, most] = LIMITS[name];
  const value = /^\s*\d{1,6}\s*$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most))
    throw new InputError(`${name} must be a whole number from ${least} to ${most}, got ${text}`);
  return value;
}

function parseDepth(text) {
  const value = parseWhole(text, "depth");
  if (value % 6 !== 2) throw new InputError(`depth must be 6n + 2 with n >= 1 (8, 14, 20, 26, ...), got ${value}`);
  return value;
}

function parseSize(text) {
  const sides = text.toLowerCase().split("x").map((side) => parseWhole(side, "side"));
  if (sides.length > 2) throw new InputError(`size must be a whole number such as 32, or two such as 32x48, got ${text}`);
  return [sides[0], sides[1] ?? sides[0]];
}

const sizeText = ([h, w]) => (h === w ? String(h) : `${h}x${w}`);

function parseChoice(key, text) {
  if (!CHOICES[key].includes(text)) throw new InputError(`${key} must be one of ${CHOICES[key].join(", ")}, got ${text}`);
  return text;
}

function perStage(text, parse) {
  const values = text.split("+").map(parse);
  if (values.length !== 1 && values.length !== 3)
    throw new InputError(`need one value, or three (one a stage) joined by +, got ${values.length}: ${text}`);
  return values.length === 1 ? [values[0], values[0], values[0]] : values;
}

const joined = (stages, text) => {
  const texts = stages.map(text);
  return new Set(texts).size === 1 ? texts[0] : texts.join("+");
};
const alphaText = (state) => joined(state.stages, ({ alpha }) => ratioText(alpha));
const betaText = (state) => joined(state.stages, ({ beta }) => ratioText(beta));
const pathSetsText = (state) => joined(state.stages, ({ paths }) => pathsText(paths));

const DEFAULTS = Object.freeze({
  depth: "56", size: "32", alpha: "1/4", beta: "2", paths: "HL,LH,LL", width: "16", classes: "10",
  strideRule: "C", widthRule: "out", between: "none",
  rows: "stages", layer: "s1", sort: "order", direction: "down", x: "macs", y: "params", want: "most",
});
const ALWAYS = ["depth", "size", "alpha", "beta", "paths"]; // what a link says even where it is the default

// Build a state from texts. Throws an Error whose text says what was given and what is needed.
function stateFrom(texts) {
  const t = { ...DEFAULTS, ...texts };
  const [alphas, betas, paths] = [perStage(t.alpha, parseAlpha), perStage(t.beta, parseBeta), perStage(t.paths, parsePaths)];
  const chosen = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, parseChoice(key, t[key])]));
  const state = {
    ...chosen, depth: parseDepth(t.depth), size: parseSize(t.size),
    width: parseWhole(t.width, "width"), classes: parseWhole(t.classes, "classes"),
    stages: STAGES.map((i) => ({ alpha: alphas[i], beta: betas[i], paths: paths[i] })),
  };
  checkWidths(state);
  return state;
}

function checkWidths(state) {
  for (const stage of STAGES) {
    const { beta, paths } = state.stages[stage];
    const channels = state.width * 2 ** stage;
    if (paths.size && beta.p > beta.q * channels)
      throw new InputError(`beta must be at most the ${channels} output channels of stage ${stage + 1}, got ${ratioText(beta)}`);
  }
}

function textsOf(state) {
  const chosen = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, state[key]]));
  return {
    ...chosen, depth: String(state.depth), size: sizeText(state.size), alpha: alphaText(state),
    beta: betaText(state), paths: pathSetsText(state), width: String(state.width), classes: String(state.classes),
  };
}

function linkOf(state) {
  const texts = textsOf(state);
  const keys = Object.keys(DEFAULTS).filter((key) => ALWAYS.includes(key) || texts[key] !== DEFAULTS[key]);
  return `#${keys.map((key) => `${key}=${texts[key]}`).join("&")}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new InputError(`a % in a link must begin an encoded letter, got ${text}`);
  }
}

// Keys that are not known are an error: a link that is misread silently is worse than none.
function textsFromLink(hash) {
  const pairs = decoded(hash.replace(/^#/, "")).split("&").filter(Boolean).map((pair) => pair.split("="));
  const unknown = pairs.find(([key, value]) => !Object.hasOwn(DEFAULTS, key) || value === undefined);
  if (unknown) throw new InputError(`the link must hold some of ${Object.keys(DEFAULTS).join(", ")}, got ${unknown[0]}`);
  return Object.fromEntries(pairs);
}
