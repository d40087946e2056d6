// The page: a state goes in, everything that is shown comes out. There is no other state.

const ui = { state: null, perStage: false, rows: [], cost: null, step: 0, steps: 0, dragged: false };

function render(state) {
  const found = parts(state);
  const rows = layerRows(found);
  const shares = networkShares(found);
  const cost = totalOf(shares);
  const compared = comparison(state, cost, shares);
  const layer = chosenLayer(state, rows);
  Object.assign(ui, { rows, cost });
  showControls(state);
  renderTotals(cost, compared);
  renderMeasured(state);
  renderNotes(state);
  renderComparison(compared, shares);
  renderTimes(state);
  renderTable(state, rows, cost, changeView);
  renderDiagram(state, layer);
  renderFormulas(layer);
  renderFront(state, cost, changeView);
  renderExports(state, compared);
}

function update(state) {
  ui.state = state;
  keepingFocus(() => render(state));
  remember(linkOf(state));
  document.documentElement.dataset.shown = linkOf(state);
}

// Buttons in what is drawn anew have keys, so that the focus finds the new one.
function keepingFocus(draw) {
  const { key } = document.activeElement?.dataset ?? {};
  draw();
  if (key && !document.activeElement?.dataset.key)
    document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

// Each change is a step that Undo and Back take back; a slider that is dragged makes one.
function remember(link) {
  const { step } = history.state ?? {};
  if (step === undefined || location.hash === link || ui.dragged) {
    if (step !== undefined) ui.step = step;
    else ui.steps = ui.step += 1;
    history.replaceState({ step: ui.step }, "", link);
  } else {
    ui.steps = ui.step = step + 1;
    history.pushState({ step: ui.step }, "", link);
  }
  ui.dragged = false;
  ui.first ??= ui.step;
  byId("undo").disabled = ui.step <= ui.first;
  byId("redo").disabled = ui.step >= ui.steps;
}

const changeView = (changes) => update({ ...ui.state, ...changes });

function renderTotals(cost, compared) {
  const texts = QUANTITIES.map((_, i) => grouped(cost[i]));
  const pinned = compared.find(({ name }) => name === "pinned");
  const cards = QUANTITIES.map((key, i) => {
    const beside = { plain: `${compared.at(-1).changes[i]} vs plain` };
    if (pinned) beside.pinned = `${percent(cost[i], pinned.cost[i])} vs pinned`;
    if (i === MACS) beside.flops = `${grouped(whole(2 * cost[i]))} FLOPs`;
    return element(
      "div",
      { class: "total" },
      element("dt", {}, LABELS[key]),
      element(
        "dd",
        {},
        element("span", { class: "count", "data-total": key }, texts[i]),
        ...Object.entries(beside).map(([name, text]) =>
          element("span", { class: "change", "data-beside": name }, text),
        ),
      ),
    );
  });
  byId("totals").replaceChildren(...cards);
  byId("totals").style.setProperty("--longest", Math.max(...texts.map((text) => text.length)));
  byId("summary").textContent = `${grouped(cost[PARAMS])} parameters, ${grouped(cost[MACS])} MACs`;
}

function renderNotes(state) {
  const found = notes(state);
  byId("notes").hidden = found.length === 0;
  byId("notes-title").textContent =
    `Rounding and missing paths: ${found.length} ${found.length === 1 ? "note" : "notes"}`;
  byId("notes-list").replaceChildren(...found.map((note) => element("li", {}, note)));
}

function renderExports(state, compared) {
  byId("command").replaceChildren(...optionsOf(commandOf(state)));
  byId("pytorch").textContent = pytorchOf(state);
  byId("latex").textContent = latexOf(state, compared);
}

const SAID_MS = 6000;
function say(message) {
  byId("status").textContent = message;
  clearTimeout(ui.saying);
  ui.saying = setTimeout(() => byId("status").replaceChildren(), SAID_MS);
}

// Where the browser refuses its clipboard, the text is selected, and the user copies it.
async function copy(text, source, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch (refused) {
    if (!(refused instanceof DOMException || refused instanceof TypeError)) throw refused;
    if (source) getSelection().selectAllChildren(source);
    say(source ? `${what} selected: copy it with your keyboard.` : "Copy the address of this page.");
  }
}

function downloadCsv() {
  const address = URL.createObjectURL(new Blob([csvOf(ui.state, ui.rows)], { type: "text/csv" }));
  element("a", { href: address, download: fileNameOf(ui.state) }).click();
  URL.revokeObjectURL(address);
  say("CSV with one row per layer downloaded.");
}

function connectButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = byId(button.dataset.copy);
    button.addEventListener("click", () => copy(source.textContent, source, button.dataset.what));
  }
  byId("copy-link").addEventListener("click", () => copy(location.href, null, "Link"));
  byId("download").addEventListener("click", downloadCsv);
  byId("reset").addEventListener("click", () => {
    ui.perStage = false;
    showError(null, "");
    update(stateFrom({}));
  });
  byId("pin").addEventListener("click", () => changeView({ pin: ui.state.pin ? null : ui.state }));
  byId("undo").addEventListener("click", () => history.back());
  byId("redo").addEventListener("click", () => history.forward());
  byId("theme").addEventListener("click", nextTheme);
}

const THEMES = ["auto", "light", "dark"];
function nextTheme() {
  const { theme } = document.documentElement.dataset;
  showTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  kept((storage) => storage.setItem("theme", document.documentElement.dataset.theme));
}

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

// A browser may refuse a page from disk its storage; the theme is then not kept, and nothing else is.
function kept(use) {
  try {
    return use(localStorage);
  } catch (refused) {
    if (!(refused instanceof DOMException)) throw refused;
    return null;
  }
}

// The page counts networks whose costs Python worked out from closed forms, another way than the page's.
function checkReferences() {
  const wrong = REFERENCES.filter(({ state, params, macs }) => {
    const cost = networkCost(stateFrom(state));
    return cost[PARAMS] !== params || cost[MACS] !== macs;
  });
  byId("checked").textContent =
    wrong.length === 0
      ? `On loading, this page recounted ${REFERENCES.length} networks and got the counts of Python's closed forms in every one.`
      : `On loading, this page recounted ${REFERENCES.length} networks and got ${wrong.length} wrong: do not trust its numbers.`;
  byId("checked").classList.toggle("failed", wrong.length > 0);
}

function openLink() {
  try {
    const next = stateFrom(textsFromLink(location.hash));
    ui.perStage = false;
    showError(null, "");
    update(next);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (ui.state === null) update(stateFrom({}));
    showError(null, `This link does not work: ${error.message}`);
  }
}

connectControls();
connectButtons();
connectDiagram();
connectFront();
connectTimes();
const keptTheme = kept((storage) => storage.getItem("theme"));
if (THEMES.includes(keptTheme)) showTheme(keptTheme);
window.addEventListener("hashchange", openLink);
openLink();
checkReferences();
