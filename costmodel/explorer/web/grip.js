// Direct manipulation: a grip on the border between high and low channels, and paths that a click compresses.

const GRIP = { x: 416, top: 98, bottom: 154, steps: 16 };
const gripY = (alpha) => GRIP.top + (GRIP.bottom - GRIP.top) * (1 - value(alpha));

function alphaGrip(state, layer) {
  const { alpha } = state.stages[layer.layer.stage];
  const y = gripY(alpha);
  return [
    svg("path", { class: "grip-track", d: `M${GRIP.x} ${GRIP.top}V${GRIP.bottom}` }),
    svg(
      "g",
      {
        class: "grip",
        role: "slider",
        tabindex: 0,
        "data-key": "grip",
        "aria-label": ui.perStage ? `alpha of stage ${layer.layer.stage + 1}` : "alpha",
        "aria-orientation": "vertical",
        "aria-valuemin": 0,
        "aria-valuemax": 1,
        "aria-valuenow": value(alpha),
        "aria-valuetext": ratioText(alpha),
      },
      svg("rect", { x: GRIP.x - 30, y: y - 11, width: 60, height: 22, rx: 11 }),
      svg("text", { x: GRIP.x, y: y + 4 }, `α ${ratioText(alpha)}`),
    ),
  ];
}

const shownStage = () => (ui.perStage ? chosenLayer(ui.state, ui.rows).layer.stage : 0);

// The wheel's and the arrows' steps are those of the slider: sixteenths.
function setAlpha(sixteenths, dragged) {
  const p = Math.min(GRIP.steps, Math.max(0, sixteenths));
  const text = ratioText(ratio(p, GRIP.steps));
  if (text === ratioText(ui.state.stages[shownStage()].alpha)) return;
  ui.dragged = dragged;
  changeText("alpha", shownStage(), text, byId(`alpha-${shownStage()}`));
}

const gripSteps = () => Math.round(GRIP.steps * value(ui.state.stages[shownStage()].alpha));
const KEY_STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 4, PageDown: -4, Home: -16, End: 16 };

function turnGrip(event) {
  if (!event.target.closest(".grip") || !(event.key in KEY_STEPS)) return;
  event.preventDefault();
  setAlpha(gripSteps() + KEY_STEPS[event.key], false);
}

function dragGrip(event) {
  if (!event.target.closest(".grip")) return;
  event.preventDefault();
  const track = byId("diagram").querySelector(".grip-track").getBoundingClientRect();
  const from = { y: event.clientY, steps: gripSteps() };
  let moved = false;
  const move = ({ clientY }) => {
    const before = ui.state;
    setAlpha(from.steps + Math.round((GRIP.steps * (from.y - clientY)) / track.height), moved);
    moved ||= ui.state !== before;
  };
  const end = () => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", end);
    window.removeEventListener("pointercancel", end);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
}

function togglePath(event) {
  const label = event.target.closest("[data-toggle]");
  if (!label || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  const { stage } = chosenLayer(ui.state, ui.rows).layer;
  const chosen = new Set(ui.state.stages[stage].paths);
  if (!chosen.delete(label.dataset.toggle)) chosen.add(label.dataset.toggle);
  changeText("paths", shownStage(), pathsText(chosen), document.querySelector("[data-path]"));
}

function connectDiagram() {
  const diagram = byId("diagram");
  diagram.addEventListener("pointerdown", dragGrip);
  diagram.addEventListener("keydown", turnGrip);
  diagram.addEventListener("keydown", togglePath);
  diagram.addEventListener("click", togglePath);
  window.addEventListener("resize", reachScrolling);
}
