// Predicted times: for each operator the larger of its arithmetic and its traffic, and what its calls cost, as Python's
// roofline has them. They hold for modules as PyTorch runs them, and for a machine that `pwoct-cost bench` measured.

const fill = (channels, block) => ceilDiv(channels, block) * block;

// How much more is computed than is needed, since vectors and tiles of channels are filled in part.
function filling([, cIn, cOut], { dtype, vector }, training) {
  let ratio = fill(cOut, vector) / cOut;
  if (training) ratio = (ratio + fill(cIn, vector) / cIn + (ratio * fill(cIn, vector / 2)) / cIn) / 3;
  return dtype === "bfloat16" ? (ratio * fill(cIn, ROOFLINE.tile)) / cIn : ratio;
}

function vectorFilling(part, channels, vector) {
  const half = vector / 2;
  if (!["bn", "pool", "upsample"].includes(part) || (part === "bn" && channels % half === 0)) return 1;
  return ((channels % half ? 1.25 : 1) * fill(channels, vector)) / channels;
}

const hasWeights = (part) => part === "conv" || part === "linear";

function elementsMoved([part, cIn, cOut, , , inputs, weights, written], { dtype, vector }) {
  if (!hasWeights(part)) return (inputs + weights + written) * vectorFilling(part, cIn, vector);
  if (dtype === "bfloat16") return inputs + weights + written;
  return (inputs * fill(cIn, vector)) / cIn + weights + (written * fill(cOut, vector)) / cOut;
}

function operatorSeconds(work, setting) {
  const { mode, dtype, macs_per_second: rates, bytes_per_second: traffic, seconds_per_call: call } = setting;
  const training = mode === "training";
  const [part, , , macs, macsTraining, , , , calls] = work;
  const passes = training ? (ROOFLINE.trainingTraffic[part] ?? ROOFLINE.otherTrainingTraffic) : 1;
  const moving = (elementsMoved(work, setting) * ROOFLINE.bytes[dtype] * passes) / traffic;
  const needed = training ? macsTraining : macs;
  const computing = hasWeights(part) ? (needed * filling(work, setting, training)) / rates[dtype] : 0;
  return Math.max(computing, moving) + calls * call * (training ? ROOFLINE.trainingCalls : 1);
}

// The seconds of a network by each setting of a machine: a mode, a dtype and a batch.
function networkSeconds(net, setting) {
  const seconds = (calls) =>
    calls
      .flatMap(({ name, args }) => WORK[name](...args, setting.batch))
      .reduce((total, work) => total + operatorSeconds(work, setting), 0);
  return parts(net).reduce((total, { rows, times: repeats }) => total + repeats * seconds(rows.flatMap((r) => r.calls)), 0);
}

// Machines: those in the page, and one that the user loads.
const LOADED = "loaded";
const machines = new Map(MACHINES.map((machine) => [machine.id, machine]));

const BENCH = "pwoct-cost bench resnet20 --plan reference --format json";

function machineFrom(text, name) {
  const needed = (why) =>
    new InputError(`a machine file is what ${BENCH} prints, got ${name}: ${why}`);
  let found;
  try {
    found = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw needed("it is no JSON");
  }
  if (!Array.isArray(found?.attained) || !found.attained.length) throw needed("it has no list attained");
  for (const setting of found.attained) {
    const wrong = wrongIn(setting);
    if (wrong) throw needed(`${wrong} in attained`);
  }
  const { processor, threads, clock, torch, attained } = found;
  return { id: LOADED, name: `${processor ?? "a machine"}, from ${name}`, processor, threads, clock, torch, attained };
}

// What a setting lacks, in words.
function wrongIn(setting) {
  const isPositive = (number) => typeof number === "number" && number > 0 && number < Infinity;
  if (typeof setting !== "object" || setting === null) return "something else than an object is";
  if (!["inference", "training"].includes(setting.mode)) return `mode ${setting.mode} is`;
  if (!Object.hasOwn(ROOFLINE.bytes, setting.dtype)) return `dtype ${setting.dtype} is`;
  if (!Number.isInteger(setting.batch) || !(setting.batch >= 1 && setting.batch <= 65536)) return `batch ${setting.batch} is`;
  if (!isPositive(setting.macs_per_second?.[setting.dtype])) return `no rate of MACs in ${setting.dtype} is`;
  if (!ROOFLINE.vectors.includes(setting.vector)) return `no vector of ${ROOFLINE.vectors.join(" or ")} channels is`;
  const wrong = ["bytes_per_second", "seconds_per_call"].find((key) => !isPositive(setting[key]));
  return wrong ? `no positive ${wrong} is` : "";
}

async function loadMachine(input) {
  const [file] = input.files;
  if (!file) return;
  try {
    machines.set(LOADED, machineFrom(await file.text(), file.name));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    showError(input, error.message);
    return;
  } finally {
    input.value = "";
  }
  showError(input, "");
  changeView({ machine: LOADED });
  renderTimes(ui.state);
  say(`${file.name} loaded.`);
}

// As the command prints them.
const milliseconds = (seconds) => (1000 * seconds).toFixed(2);

function renderTimes(state) {
  const machine = machines.get(state.machine);
  fillMachines(state);
  byId("times").hidden = !machine;
  byId("machine-said").textContent = machine ? machineWords(machine) : "This link was made with a machine from a file: load that file to see its times.";
  if (!machine) return;
  const nets = [["this", state], ...(state.pin ? [["pinned", state.pin]] : []), ["plain", uncompressed(state, false)]];
  const head = ["mode", ...nets.map(([name]) => name)];
  byId("times-head").replaceChildren(
    element("tr", {}, ...head.map((name, i) => element("th", { scope: "col", class: i ? "number" : "" }, name))),
  );
  byId("times-body").replaceChildren(...machine.attained.map((setting) => timesRow(setting, nets)));
}

function timesRow(setting, nets) {
  const { mode, dtype, batch } = setting;
  const cells = nets.map(([name, net]) =>
    element(
      "td",
      { class: "number", "data-time": `${name}.${mode}.${dtype}` },
      `${milliseconds(networkSeconds(net, setting))} ms`,
    ),
  );
  return element("tr", {}, element("th", { scope: "row" }, `${mode}, ${dtype}, batch ${batch}`), ...cells);
}

function machineWords({ processor, threads, clock, torch }) {
  const parts = [
    processor,
    threads && `${threads} ${threads === 1 ? "thread" : "threads"}`,
    clock,
    torch && `torch ${torch}`,
  ].filter(Boolean);
  return `${parts.join(", ")}.`;
}

function fillMachines(state) {
  const known = [...machines.values()].map(({ id, name }) => [id, name]);
  const missing = machines.has(state.machine) ? [] : [[state.machine, "from a file"]];
  byId("machine").replaceChildren(...[...known, ...missing].map(([value, text]) => element("option", { value }, text)));
  byId("machine").value = state.machine;
}

function connectTimes() {
  byId("bench-command").replaceChildren(...optionsOf(`${BENCH} > machine.json`));
  byId("machine-file").addEventListener("change", ({ target }) => loadMachine(target));
}
