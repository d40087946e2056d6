// A note for each size that the rounding rule changed, and where a chosen path does not exist. Python says the same.

// A number as Python's format "g" writes it: six significant digits.
function general(value) {
  const [mantissa, exponent] = value.toExponential(5).split("e").map(Number);
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function splitNote(channels, alpha) {
  if ((channels * alpha.p) % alpha.q === 0) return "";
  const exact = general((channels * alpha.p) / alpha.q);
  return `alpha ${ratioText(alpha)} of ${channels} channels is ${exact}: c_L = ${lowChannels(channels, alpha)}`;
}

function widthNote(path, cIn, cOut, beta, rule) {
  const [numerator, denominator] = [TWICE_WIDTH[rule](cIn, cOut) * beta.q, 2 * beta.p];
  if (numerator % denominator === 0) return "";
  const raised = numerator < denominator ? " (raised to 1)" : "";
  const m = hidden(cIn, cOut, beta, rule);
  return `${path} ${cIn} → ${cOut} at beta ${ratioText(beta)}: ${general(numerator / denominator)} hidden channels: m = ${m}${raised}`;
}

function stageWidthNotes(net, stage) {
  const cOut = splitOf(net, stage);
  const changes = stage ? [splitOf(net, stage - 1)] : [];
  // A single last block holds the stage change and the last convolution, which is never compressed.
  const regular = stage === 2 && net.depth === 8 ? [] : [cOut];
  const sources = [...changes, ...regular];
  const { paths, beta } = net.stages[stage];
  return sources.flatMap((cIn) =>
    PATHS.filter((path) => paths.has(path)).map((path) => {
      const ends = [cIn["HL".indexOf(path[0])], cOut["HL".indexOf(path[1])]];
      return ends.includes(0) ? "" : widthNote(path, ...ends, beta, net.widthRule);
    }),
  );
}

function missingNote(net, stage) {
  const { alpha, paths } = net.stages[stage];
  const channels = splitOf(net, stage);
  const exists = (path) => [...path].every((branch) => channels["HL".indexOf(branch)] > 0);
  const missing = PATHS.filter((path) => paths.has(path) && !exists(path));
  return missing.length ? `alpha ${ratioText(alpha)} leaves no path ${missing.join(", ")} to compress` : "";
}

function notes(net) {
  const splits = STAGES.map((stage) => splitNote(net.width * 2 ** stage, net.stages[stage].alpha));
  const widths = STAGES.flatMap((stage) => stageWidthNotes(net, stage));
  const missing = STAGES.map((stage) => missingNote(net, stage));
  return [...new Set([...splits, ...widths, ...missing])].filter(Boolean);
}
