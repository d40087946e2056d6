// The controls: each is a box that takes exact text, with a slider beside it where that helps.

const BETAS = [
  ratio(1),
  ratio(4, 3),
  ratio(3, 2),
  ratio(2),
  ratio(8, 3),
  ratio(3),
  ratio(4),
  ratio(6),
  ratio(8),
  ratio(12),
  ratio(16),
];
const value = ({ p, q }) => p / q;
const nearest = (list, target) =>
  list.reduce((best, item, i) => (Math.abs(item - target) < Math.abs(list[best] - target) ? i : best), 0);

// How a slider's position becomes text, and a state its position.
const SLIDERS = {
  depth: { text: (i) => String(6 * i + 2), position: (state) => (state.depth - 2) / 6 },
  size: { text: (i) => String(8 * i), position: (state) => Math.round(state.size[0] / 8) },
  width: { text: (i) => String(4 * i), position: (state) => Math.round(state.width / 4) },
  alpha: {
    text: (i) => ratioText(ratio(i, 16)),
    position: (state, stage) => Math.round(16 * value(state.stages[stage].alpha)),
  },
  beta: {
    text: (i) => ratioText(BETAS[i]),
    position: (state, stage) => nearest(BETAS.map(value), value(state.stages[stage].beta)),
  },
};

const STAGE_TEXT = {
  alpha: (choice) => ratioText(choice.alpha),
  beta: (choice) => ratioText(choice.beta),
};

const boxText = (state, name, stage) =>
  name in STAGE_TEXT ? STAGE_TEXT[name](state.stages[stage]) : textsOf(state)[name];

// With a stage chosen by itself, its value replaces one of three; else it is the value of all.
function withStage(current, name, stage, text) {
  if (!ui.perStage) return { [name]: text };
  const texts = current.stages.map((choice) =>
    name === "paths" ? pathsText(choice.paths) : STAGE_TEXT[name](choice),
  );
  texts[stage] = text;
  return { [name]: texts.join("+") };
}

const isStageControl = (name) => name in STAGE_TEXT || name === "paths";

function changeText(name, stage, text, box) {
  try {
    const texts = isStageControl(name) ? withStage(ui.state, name, stage, text) : { [name]: text };
    const next = stateFrom({ ...textsOf(ui.state), ...texts });
    showError(box, "");
    update(next);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (box.type !== "text") showControls(ui.state); // what was typed stays, to be corrected
    showError(box, error.message);
  }
}

// The message stands below the control that it is about, or above all where it is about a link.
const errorLine = byId("error");
function showError(box, message) {
  for (const wrong of document.querySelectorAll("[aria-invalid]")) {
    wrong.removeAttribute("aria-invalid");
    wrong.removeAttribute("aria-describedby");
  }
  const control = message && box?.closest(".control, .paths");
  if (control) control.append(errorLine);
  else byId("controls").prepend(errorLine);
  errorLine.textContent = message;
  errorLine.hidden = message === "";
  if (!control) return;
  box.setAttribute("aria-invalid", "true");
  box.setAttribute("aria-describedby", "error");
}

function connectBox(box, name, stage) {
  box.addEventListener("change", () => changeText(name, stage, box.value, box));
}

function connectSlider(slider, name, stage) {
  let drags = false;
  slider.addEventListener("input", () => {
    ui.dragged = drags;
    changeText(name, stage, SLIDERS[name].text(Number(slider.value)), slider);
    drags = true;
  });
  slider.addEventListener("change", () => {
    drags = false;
  });
}

function connectPaths(fieldset, stage) {
  for (const box of fieldset.querySelectorAll("[data-path]")) {
    box.addEventListener("change", () => {
      const chosen = new Set(
        [...fieldset.querySelectorAll("[data-path]:checked")].map((checked) => checked.dataset.path),
      );
      changeText("paths", stage, pathsText(chosen), box);
    });
  }
}

// A set of alpha, beta and paths: one for the network, or one per stage.
function stageControls(stage) {
  const copy = byId("stage-template").content.cloneNode(true).firstElementChild;
  copy.dataset.stage = stage;
  for (const label of copy.querySelectorAll("[data-for]")) label.htmlFor = `${label.dataset.for}-${stage}`;
  for (const control of copy.querySelectorAll("[data-name]")) {
    control.id = `${control.dataset.name}-${stage}`;
    const name = control.dataset.name.replace("-slider", "");
    if (control.type === "range") connectSlider(control, name, stage);
    else connectBox(control, name, stage);
  }
  connectPaths(copy, stage);
  return copy;
}

function buildStageControls() {
  const stages = ui.perStage ? STAGES : [0];
  byId("stages").replaceChildren(...stages.map(stageControls));
}

function showStage(state, fieldset) {
  const stage = Number(fieldset.dataset.stage);
  fieldset.querySelector("legend").textContent = ui.perStage ? `Stage ${stage + 1}` : "All stages";
  for (const control of fieldset.querySelectorAll("[data-name]")) showControl(state, control, stage);
  for (const box of fieldset.querySelectorAll("[data-path]"))
    box.checked = state.stages[stage].paths.has(box.dataset.path);
  for (const slider of fieldset.querySelectorAll("[type=range]"))
    slider.setAttribute(
      "aria-label",
      `${slider.dataset.name.replace("-slider", "")}${ui.perStage ? ` of stage ${stage + 1}` : ""}, slider`,
    );
}

function showControl(state, control, stage) {
  const name = control.dataset.name.replace("-slider", "");
  if (control.type === "range") {
    control.value = SLIDERS[name].position(state, stage);
    control.setAttribute("aria-valuetext", boxText(state, name, stage));
  } else {
    control.value = boxText(state, name, stage);
  }
}

function showControls(state) {
  const alike =
    new Set(state.stages.map((c) => [ratioText(c.alpha), ratioText(c.beta), pathsText(c.paths)].join()))
      .size === 1;
  if (!alike) ui.perStage = true;
  const built = byId("stages").children.length === 3;
  if (built !== ui.perStage) buildStageControls();
  byId("per-stage").checked = ui.perStage;
  for (const fieldset of byId("stages").children) showStage(state, fieldset);
  for (const control of document.querySelectorAll("#backbone [data-name]")) showControl(state, control, 0);
  for (const select of document.querySelectorAll("[data-choice]"))
    select.value = state[select.dataset.choice];
  for (const radio of document.querySelectorAll("[name=rows]")) radio.checked = radio.value === state.rows;
  for (const box of document.querySelectorAll("[data-budget]")) box.value = budgetText(state[box.dataset.budget]);
  showPreset(state);
}

function fillSelects() {
  const option = ([value, text]) => element("option", { value }, text);
  for (const axis of ["axis-x", "axis-y"]) byId(axis).append(...Object.entries(LABELS).map(option));
  byId("layer").append(...Object.entries(LAYERS).map(([value, [text]]) => option([value, text])));
}

function connectControls() {
  fillSelects();
  fillPresets();
  for (const control of document.querySelectorAll("#backbone [data-name]")) {
    const name = control.dataset.name.replace("-slider", "");
    if (control.type === "range") connectSlider(control, name, 0);
    else connectBox(control, name, 0);
  }
  for (const select of document.querySelectorAll("[data-choice]"))
    select.addEventListener("change", () => changeText(select.dataset.choice, 0, select.value, select));
  for (const radio of document.querySelectorAll("[name=rows]"))
    radio.addEventListener("change", () => changeText("rows", 0, radio.value, radio));
  for (const box of document.querySelectorAll("[data-budget]")) connectBox(box, box.dataset.budget, 0);
  byId("per-stage").addEventListener("change", (event) => togglePerStage(event.target.checked));
  buildStageControls();
}

// Back to one choice for all: that of the first stage.
function togglePerStage(perStage) {
  ui.perStage = perStage;
  const [first] = ui.state.stages;
  update(perStage ? ui.state : { ...ui.state, stages: STAGES.map(() => first) });
}
