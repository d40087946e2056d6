// Texts become values, with the messages of Python where they don't.

const LIMITS = { depth: [8, 1202], width: [1, 256], classes: [1, 10000], side: [1, 1024], part: 1000000 };
const CHOICES = {
  strideRule: ["C", "B", "A"],
  widthRule: ["out", "in", "min", "mean"],
  between: ["none", "bn", "bn_relu"],
  rows: ["stages", "blocks", "layers"],
  layer: Object.keys(LAYERS),
  sort: ["order", "name", ...QUANTITIES],
  direction: ["down", "up"],
  x: QUANTITIES,
  y: QUANTITIES,
  want: ["most", "least"],
  each: ["alike", "own"],
  machine: [...MACHINES.map(({ id }) => id), "loaded"],
};

const ratio = (p, q = 1) => {
  const divisor = gcd(p, q);
  return { p: p / divisor, q: q / divisor };
};
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
const ratioText = ({ p, q }) => (q === 1 ? String(p) : `${p}/${q}`);

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
  if (value === null && /^\s*\d*\.\d{15,}\s*$/.test(text))
    throw new InputError(`${name} must have at most 14 decimals on this page, or be a fraction such as 1/3, got ${text}`);
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
  if (value % 6 !== 2)
    throw new InputError(`depth must be 6n + 2 with n >= 1 (8, 14, 20, 26, ...), got ${value}`);
  return value;
}

function parseSize(text) {
  const sides = text
    .toLowerCase()
    .split("x")
    .map((side) => parseWhole(side, "side"));
  if (sides.length > 2)
    throw new InputError(`size must be a whole number such as 32, or two such as 32x48, got ${text}`);
  return [sides[0], sides[1] ?? sides[0]];
}

const sizeText = ([h, w]) => (h === w ? String(h) : `${h}x${w}`);

function parseChoice(key, text) {
  if (!CHOICES[key].includes(text))
    throw new InputError(`${key} must be one of ${CHOICES[key].join(", ")}, got ${text}`);
  return text;
}

function perStage(text, parse) {
  const values = text.split("+").map(parse);
  if (values.length !== 1 && values.length !== 3)
    throw new InputError(`need one value, or three (one per stage) joined by +, got ${values.length}: ${text}`);
  return values.length === 1 ? [values[0], values[0], values[0]] : values;
}
