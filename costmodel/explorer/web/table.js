// The table of layers: rolled up by stage or block, sorted by any column, with its total.

// Rows that share a group become one; they stay in the order in which they run.
function rolledUp(rows, level) {
  if (level === "layers") return rows;
  const groupOf = (r) => (level === "blocks" || r.stage === null ? r.group : `stage ${r.stage + 1}`);
  const groups = new Map();
  for (const r of rows) groups.set(groupOf(r), [...(groups.get(groupOf(r)) ?? []), r]);
  return [...groups].map(([name, members]) => ({
    name,
    out: members.at(-1).out,
    cost: sum(members.map(({ cost }) => cost)),
  }));
}

function sorted(rows, sort, direction) {
  if (sort === "order") return direction === "down" ? rows : [...rows].reverse();
  const value = sort === "name" ? (r) => r.name : (r) => r.cost[QUANTITIES.indexOf(sort)];
  const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  const sign = (sort === "name") === (direction === "down") ? 1 : -1;
  return [...rows].sort((a, b) => sign * compare(a, b));
}

function headerCell(state, key, label, change) {
  const active = state.sort === key;
  const ascending = (key === "name" || key === "order") === (state.direction === "down");
  const button = element("button", { type: "button", "data-sort": key, "data-key": `sort ${key}` }, label);
  button.addEventListener("click", () =>
    change({ sort: key, direction: active && state.direction === "down" ? "up" : "down" }),
  );
  const order = ascending ? "ascending" : "descending";
  return element(
    "th",
    {
      scope: "col",
      class: key === "name" || key === "order" ? "" : "number",
      "aria-sort": active ? order : "none",
    },
    button,
  );
}

function tableRow(r, total) {
  const cells = r.cost.map((value, i) => {
    const share = total && total[i] ? (100 * value) / total[i] : 0;
    return element("td", { class: "number", style: `--share:${share.toFixed(2)}%` }, grouped(value));
  });
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, r.name),
    element("td", {}, r.out ? mapText(r.out) : ""),
    ...cells,
  );
}

function renderTable(state, rows, total, change) {
  const header = [
    headerCell(state, "name", "Layer", change),
    headerCell(state, "order", "Output (channels · size)", change),
    ...QUANTITIES.map((key) => headerCell(state, key, LABELS[key], change)),
  ];
  const shown = sorted(rolledUp(rows, state.rows), state.sort, state.direction);
  byId("layers-head").replaceChildren(element("tr", {}, ...header));
  byId("layers-body").replaceChildren(...shown.map((r) => tableRow(r, total)));
  byId("layers-foot").replaceChildren(tableRow({ name: "total", cost: total }, null));
}
