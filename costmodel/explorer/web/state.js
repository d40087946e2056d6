// The state of the page: built from texts, read from the link, and written back to it.

const joined = (stages, text) => {
  const texts = stages.map(text);
  return new Set(texts).size === 1 ? texts[0] : texts.join("+");
};
const alphaText = (state) => joined(state.stages, ({ alpha }) => ratioText(alpha));
const betaText = (state) => joined(state.stages, ({ beta }) => ratioText(beta));
const pathSetsText = (state) => joined(state.stages, ({ paths }) => pathsText(paths));

const DEFAULTS = Object.freeze({
  depth: "56",
  size: "32",
  alpha: "1/4",
  beta: "2",
  paths: "HL,LH,LL",
  width: "16",
  classes: "10",
  strideRule: "C",
  widthRule: "out",
  between: "none",
  rows: "stages",
  layer: "s1",
  sort: "order",
  direction: "down",
  x: "macs",
  y: "params",
  want: "most",
  each: "alike",
  machine: MACHINES[0].id,
  maxParams: "",
  maxMacs: "",
  pin: "",
});
const ALWAYS = ["depth", "size", "alpha", "beta", "paths"]; // what a link says even where it is the default

// Build a state from texts. Throws an Error whose text says what was given and what is needed.
function stateFrom(texts) {
  const t = { ...DEFAULTS, ...texts };
  const [alphas, betas, paths] = [
    perStage(t.alpha, parseAlpha),
    perStage(t.beta, parseBeta),
    perStage(t.paths, parsePaths),
  ];
  const chosen = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, parseChoice(key, t[key])]));
  const state = {
    ...chosen,
    depth: parseDepth(t.depth),
    size: parseSize(t.size),
    width: parseWhole(t.width, "width"),
    classes: parseWhole(t.classes, "classes"),
    stages: STAGES.map((i) => ({ alpha: alphas[i], beta: betas[i], paths: paths[i] })),
    maxParams: parseBudget(t.maxParams, "parameters"),
    maxMacs: parseBudget(t.maxMacs, "MACs"),
    pin: t.pin === "" ? null : stateFrom(textsFromPin(t.pin)),
  };
  checkWidths(state);
  return state;
}

// A pinned network is a link in the link: what it is, not how it is shown.
const PINNED = ["depth", "size", "alpha", "beta", "paths", "width", "classes", "strideRule", "widthRule", "between"];

function textsFromPin(text) {
  const pairs = text.split(";").map((pair) => pair.split(":"));
  const wrong = pairs.find(([key, value]) => !PINNED.includes(key) || value === undefined);
  if (wrong) throw new InputError(`pin must hold some of ${PINNED.join(", ")}, got ${wrong[0]}`);
  return Object.fromEntries(pairs);
}

function pinText(state) {
  const texts = textsOf(state);
  const keys = PINNED.filter((key) => ALWAYS.includes(key) || texts[key] !== DEFAULTS[key]);
  return keys.map((key) => `${key}:${texts[key]}`).join(";");
}

function checkWidths(state) {
  for (const stage of STAGES) {
    const { beta, paths } = state.stages[stage];
    const channels = state.width * 2 ** stage;
    if (paths.size && beta.p > beta.q * channels)
      throw new InputError(
        `beta must be at most the ${channels} output channels of stage ${stage + 1}, got ${ratioText(beta)}`,
      );
  }
}

function textsOf(state) {
  const chosen = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, state[key]]));
  return {
    ...chosen,
    depth: String(state.depth),
    size: sizeText(state.size),
    alpha: alphaText(state),
    beta: betaText(state),
    paths: pathSetsText(state),
    width: String(state.width),
    classes: String(state.classes),
    maxParams: budgetText(state.maxParams),
    maxMacs: budgetText(state.maxMacs),
    pin: state.pin ? pinText(state.pin) : "",
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
  const pairs = decoded(hash.replace(/^#/, ""))
    .split("&")
    .filter(Boolean)
    .map((pair) => pair.split("="));
  const unknown = pairs.find(([key, value]) => !Object.hasOwn(DEFAULTS, key) || value === undefined);
  if (unknown)
    throw new InputError(`the link must hold some of ${Object.keys(DEFAULTS).join(", ")}, got ${unknown[0]}`);
  return Object.fromEntries(pairs);
}
