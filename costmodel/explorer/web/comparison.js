// Where the cost is: this network beside those it is compared with, split by path.

function comparison(state, cost, shares) {
  const variants = [
    ["plain", uncompressed(state, false)],
    ["octave", uncompressed(state, true)],
  ].map(([name, net]) => ({ name, shares: networkShares(parts(net)) }));
  const pinned = state.pin ? [{ name: "pinned", shares: networkShares(parts(state.pin)) }] : [];
  const all = [...variants, ...pinned, { name: "this", shares }].map((v) => ({ ...v, cost: totalOf(v.shares) }));
  return all.map((v) => ({ ...v, changes: v.cost.map((value, i) => percent(value, all[0].cost[i])) }));
}

function stackedBar(variant, i, most) {
  const parts = SHARES.filter((name) => variant.shares[name][i] > 0).map((name) =>
    element("span", {
      class: `part ${name}`,
      style: `width:${((100 * variant.shares[name][i]) / most).toFixed(3)}%`,
    }),
  );
  return element("div", { class: "bar", "aria-hidden": "true" }, ...parts);
}

function comparedRow(variant, compared) {
  const cells = [PARAMS, MACS].map((i) => {
    const most = Math.max(...compared.map(({ cost }) => cost[i]));
    const change = variant.name === "plain" ? "" : variant.changes[i];
    return element(
      "td",
      { "data-cell": `${variant.name}.${QUANTITIES[i]}` },
      element(
        "div",
        { class: "figures" },
        element("span", { class: "value" }, grouped(variant.cost[i])),
        element("span", { class: "change" }, change),
      ),
      stackedBar(variant, i, most),
    );
  });
  return element("tr", {}, element("th", { scope: "row" }, variant.name), ...cells);
}

// A path costs more than in the octave network where its bottleneck is too wide for it.
const costsMore = (name, shares, octave) =>
  [PARAMS, MACS].some((i) => octave.shares[name][i] > 0 && shares[name][i] > octave.shares[name][i]);

function shareRow(name, shares, octave) {
  const cells = [PARAMS, MACS].flatMap((i) => {
    const [value, base] = [shares[name][i], octave.shares[name][i]];
    const more = base > 0 && value > base;
    return [
      element("td", { class: "number", "data-cell": `${name}.${QUANTITIES[i]}` }, grouped(value)),
      element(
        "td",
        { class: more ? "number change more" : "number change", "data-cell": `${name}.${QUANTITIES[i]}.change` },
        percent(value, base),
      ),
    ];
  });
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("span", { class: `key ${name}` }, name)),
    ...cells,
  );
}

function renderComparison(compared, shares) {
  byId("compared-body").replaceChildren(...compared.map((variant) => comparedRow(variant, compared)));
  const octave = compared.find(({ name }) => name === "octave");
  byId("shares-body").replaceChildren(...SHARES.map((name) => shareRow(name, shares, octave)));
  const more = PATHS.filter((name) => costsMore(name, shares, octave));
  byId("more").textContent = more.length
    ? `${more.join(", ")}: ${more.length === 1 ? "this bottleneck costs" : "these bottlenecks cost"} more than the convolution that ${more.length === 1 ? "it replaces" : "they replace"}.`
    : "";
  byId("pin").textContent = compared.some(({ name }) => name === "pinned") ? "Unpin" : "Pin this";
}
