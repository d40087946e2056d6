// Networks to start from: plain and octave ones, and the rows of the paper's tables. Python wrote PRESETS.

const presetTexts = ({ texts }) => ({ ...DEFAULTS, ...texts });

function fillPresets() {
  const groups = Map.groupBy(PRESETS.map((preset, i) => ({ ...preset, i })), ({ group }) => group);
  for (const [label, presets] of groups)
    byId("preset").append(
      element("optgroup", { label }, ...presets.map(({ name, i }) => element("option", { value: i }, name))),
    );
  byId("preset").addEventListener("change", ({ target }) => {
    const texts = presetTexts(PRESETS[target.value]);
    const chosen = Object.fromEntries(PINNED.map((key) => [key, texts[key]]));
    ui.perStage = false;
    showError(null, "");
    update(stateFrom({ ...textsOf(ui.state), ...chosen }));
  });
}

// What was measured of a network. Without bottlenecks, beta says nothing.
const plainBeta = (state) =>
  state.stages.some(({ paths }) => paths.size)
    ? state
    : { ...state, stages: state.stages.map((stage) => ({ ...stage, beta: ratio(2) })) };

function renderMeasured(state) {
  const shown = pinText(plainBeta(state));
  const found = MEASURED.find(({ texts }) => pinText(plainBeta(stateFrom(texts))) === shown);
  byId("measured").textContent = found?.said ?? "";
}

// The preset that the page shows, if it shows one.
function showPreset(state) {
  const shown = pinText(state);
  const index = PRESETS.findIndex((preset) => pinText(stateFrom(presetTexts(preset))) === shown);
  byId("preset").value = index < 0 ? "" : String(index);
}
