// The configuration to take along: as a command, as PyTorch code, as LaTeX, as CSV.

function commandOf(state) {
  const choices = [`--alpha ${alphaText(state)}`, `--beta ${betaText(state)}`, `--paths ${pathSetsText(state)}`];
  // Where all stages choose alike, the command also costs a layer: of the first stage's width, so that beta may
  // be as large as there.
  const showsLayer = !choices.some((choice) => choice.includes("+"));
  const layer = state.width !== 16 && showsLayer ? [`--c-in ${state.width} --c-out ${state.width}`] : [];
  return ["pwoct-cost", `--model resnet${state.depth}`, ...choices, ...backboneOptions(state), ...layer].join(" ");
}

// A command as text that is broken between its options alone.
const optionsOf = (command) =>
  command.split(/ (?=--|> )/).flatMap((part, i) => [...(i ? [" "] : []), element("span", {}, part)]);

function backboneOptions(state) {
  const options = [];
  if (sizeText(state.size) !== "32") options.push(`--size ${sizeText(state.size)}`);
  if (state.width !== 16) options.push(`--width ${state.width}`);
  if (state.classes !== 10) options.push(`--classes ${state.classes}`);
  if (state.widthRule !== "out") options.push(`--width-rule ${state.widthRule}`);
  if (state.strideRule !== "C") options.push(`--stride-rule ${state.strideRule}`);
  if (state.between !== "none") options.push(`--between ${state.between}`);
  return options;
}

// The command that finds the front that is shown; none where it would compare other quantities too.
function searchCommandOf(state) {
  const names = [state.x, state.y];
  if (!names.includes("params") || !names.includes("macs")) return "";
  const betas = spaceBetas(state).map(ratioText).join();
  const alphas = state.each === "own" ? stageAlphas(state) : SPACE.alphas;
  return [
    "pwoct-cost",
    `search resnet${state.depth}`,
    ...(state.each === "own" ? ["--per-stage"] : []),
    `--alpha 0:${ratioText(alphas.at(-1))}:1/8`,
    betas ? `--beta ${betas}` : "--paths none",
    ...(state.maxParams === null ? [] : [`--max-params ${state.maxParams}`]),
    ...(state.maxMacs === null ? [] : [`--max-macs ${state.maxMacs}`]),
    ...(state.want === "most" ? [`--maximise ${state.y}`] : []),
    ...backboneOptions(state),
  ].join(" ");
}

function pythonValue(state, text) {
  const values = state.stages.map(text);
  return new Set(values).size === 1 ? values[0] : `[${values.join(", ")}]`;
}

const pythonList = (names) => `[${names.map((name) => `"${name}"`).join(", ")}]`;

function pytorchOf(state) {
  const options = [
    `alpha=${pythonValue(state, ({ alpha }) => `"${ratioText(alpha)}"`)}`,
    `beta=${pythonValue(state, ({ beta }) => `"${ratioText(beta)}"`)}`,
    `paths=${pythonValue(state, ({ paths }) => pythonList(PATHS.filter((path) => paths.has(path))))}`,
  ];
  if (state.widthRule !== "out") options.push(`width_rule="${state.widthRule}"`);
  if (state.strideRule !== "C") options.push(`stride_rule="${state.strideRule}"`);
  if (state.between !== "none") options.push(`between="${state.between}"`);
  if (state.width !== 16) options.push(`width=${state.width}`);
  if (state.classes !== 10) options.push(`classes=${state.classes}`);
  const call = `net = resnet(\n    ${state.depth},\n${options.map((option) => `    ${option},\n`).join("")})`;
  const [h, w] = state.size;
  return `import torch\nfrom pwoct.resnet import resnet\n\n${call}\nlogits = net(torch.zeros(2, 3, ${h}, ${w}))`;
}

function latexOf(state, compared) {
  const cells = ({ name, cost, changes }) => [
    name,
    grouped(cost[PARAMS]),
    latexPercent(changes[PARAMS]),
    grouped(cost[MACS]),
    latexPercent(changes[MACS]),
  ];
  const lines = compared.map((variant) => `${cells(variant).join(" & ")} \\\\`);
  return [
    `% ${commandOf(state)}`,
    "\\begin{tabular}{lrrrr}",
    "\\toprule",
    "network & params & vs plain & MACs & vs plain \\\\",
    "\\midrule",
    ...lines,
    "\\bottomrule",
    "\\end{tabular}",
  ].join("\n");
}

const latexPercent = (text) => text.replace("%", "\\%");

// Every row says which network it is of, so that files can be joined; the mark in front tells a spreadsheet the encoding.
function csvOf(state, rows) {
  const command = `"${commandOf(state)}"`;
  const lines = rows.map((r) => [r.name, mapText(r.out), ...r.cost, command].join());
  return `\ufeff${[["layer", "output", ...QUANTITIES, "network"].join(), ...lines].join("\n")}\n`;
}

// The name of a file: what differs between configurations stands in it.
const fileNameOf = (state) =>
  `${linkOf({ ...state, ...stateFrom(textsFromPin(pinText(state))) })
    .slice(1)
    .replace("depth=", "resnet")
    .replaceAll("/", "_")
    .replaceAll("=", "")
    .replaceAll("&", "-")}-layers.csv`;
