// The front of a network's conversions under budgets: SEARCH has what each stage costs by its choices.

const [P, M] = [0, 1];
const ASKED = { want: "most", maxParams: "", maxMacs: "", chosen: "" };

const readAsked = () => ({ ...ASKED, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

function ask(changes) {
  const next = { ...readAsked(), ...changes };
  const told = Object.entries(next).filter(([key, text]) => text !== ASKED[key]);
  const hash = new URLSearchParams(told).toString();
  if (hash === location.hash.slice(1)) return;
  history.pushState(null, "", `#${hash}`); // without an event, which would undo what is typed before it comes
  showSearch();
}

// MACs are traded for parameters: MACs are minimised, parameters minimised or maximised.
function searchProblem({ want, maxParams, maxMacs }) {
  const budgets = [parseBudget(maxParams, "parameters"), parseBudget(maxMacs, "MACs")];
  const stages = SEARCH.stages.map((states) =>
    states.map((choices) =>
      choices.map(([to, params, macs, pick]) => ({ to, plain: false, cost: [macs, params, params], pick })),
    ),
  );
  const [params, macs] = SEARCH.constant;
  return {
    constant: [macs, params, params],
    stages,
    sign: want === "most" ? -1 : 1,
    limits: [budgets[M] ?? Infinity, Infinity, budgets[P] ?? Infinity],
    equal: want === "most" && budgets[P] !== null ? [2] : [],
  };
}

const alike = (texts) => (new Set(texts).size === 1 ? texts[0] : texts.join("+"));
const choicesOf = (picks) => picks.map((pick) => SEARCH.choices[pick]);

// The name by which every command takes a configuration.
function convertedName(picks) {
  const choices = choicesOf(picks);
  const same = new Set(picks).size === 1 && SEARCH.patterns.every(([, stage]) => stage >= 0);
  if (same && !choices[0].changes) return SEARCH.name;
  return `convert(${[SEARCH.name, ...(same ? uniform(choices[0]) : [layersOf(choices)]), ...SEARCH.rules].join(", ")})`;
}

const compressed = ({ paths }) => paths !== "none";
const uniform = (choice) => [
  `alpha=${choice.alpha}`,
  ...(compressed(choice) ? [`beta=${choice.beta}`, `paths='${choice.paths}'`] : []),
];

function layersOf(choices) {
  const texts = SEARCH.patterns.map(([pattern, stage]) => {
    const choice = choices[stage] ?? SEARCH.none;
    const beta = compressed(choice) ? `beta:${choice.beta},` : "";
    return `${pattern}: 'alpha:${choice.alpha},${beta}paths:${choice.paths}'`;
  });
  return `layers={${texts.join(", ")}}`;
}

const found = { asked: "", points: [] };

async function showSearch() {
  const asked = readAsked();
  const key = JSON.stringify([asked.want, asked.maxParams, asked.maxMacs]);
  byId("want").value = asked.want;
  for (const name of ["maxParams", "maxMacs"]) byId(name).value = asked[name];
  showSearchError("");
  if (found.asked !== key) {
    found.asked = key;
    byId("search").dataset.state = "searching";
    byId("search-said").textContent = `Searching ${grouped(SEARCH.configurations)} configurations…`;
    try {
      const points = await inSlices(mergedFront(searchProblem(asked)), () => found.asked === key);
      if (points === null) return;
      found.points = points;
    } catch (problem) {
      if (!(problem instanceof InputError)) throw problem;
      found.points = [];
      showSearchError(problem.message);
    }
  }
  showFound();
}

function showFound() {
  const { want, chosen } = readAsked();
  byId("search-said").textContent = `${grouped(found.points.length)} of ${grouped(SEARCH.configurations)} configurations are on the front.`;
  const focused = document.activeElement?.dataset?.picks;
  byId("found").replaceChildren(...found.points.map((point) => foundRow(point, want, chosen)));
  if (focused) document.querySelector(`[data-picks="${CSS.escape(focused)}"]`)?.focus();
  const point = found.points.find(({ picks }) => picks.join(".") === chosen);
  byId("chosen").hidden = !point;
  byId("chosen-name").textContent = point ? `pwoct-cost cost "${convertedName(point.picks)}"` : "";
  byId("search").dataset.state = "found";
}

function foundRow({ x, y, picks }, want, chosen) {
  const choices = choicesOf(picks);
  const beta = choices.some(compressed) ? `, beta ${alike(choices.map((choice) => choice.beta))}` : "";
  const button = element("button", `alpha ${alike(choices.map(({ alpha }) => alpha))}${beta}, ${alike(choices.map(({ paths }) => paths))}`);
  button.type = "button";
  button.dataset.picks = picks.join(".");
  button.setAttribute("aria-pressed", String(button.dataset.picks === chosen));
  button.addEventListener("click", () => ask({ chosen: button.dataset.picks }));
  const head = element("th");
  head.scope = "row";
  head.append(button);
  const row = element("tr");
  row.append(head, element("td", grouped(want === "most" ? -y : y), "number"), element("td", grouped(x), "number"));
  return row;
}

function showSearchError(message) {
  byId("search-error").textContent = message;
  byId("search-error").hidden = !message;
}

byId("want").addEventListener("change", ({ target }) => ask({ want: target.value, chosen: "" }));
for (const name of ["maxParams", "maxMacs"])
  byId(name).addEventListener("change", ({ target }) => ask({ [name]: target.value.trim(), chosen: "" }));
byId("search").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", showSearch);
byId("search-input").textContent = SEARCH.input;
byId("search-command").textContent = SEARCH.command;
byId("search-stages").textContent = SEARCH.titles.join(", ");
showSearch();
