// A plot of two quantities on logarithmic axes: configurations, their front, networks to compare with.

const PLOT = { left: 62, right: 34, top: 12, bottom: 40, width: 460, height: 300 };

function scales(points, x, y) {
  const span = (i, from, to) => {
    const values = points.map(({ cost }) => cost[i]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const [low, high] = [least * 0.85, most * 1.08];
    return { at: (value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low), low, high };
  };
  return {
    x: span(x, PLOT.left, PLOT.width - PLOT.right),
    y: span(y, PLOT.height - PLOT.bottom, PLOT.top),
  };
}

// Round numbers between two values: 1, 2 and 5 times powers of ten, or more of them where these are few.
function ticks({ low, high }) {
  const within = (digits) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
      found.push(...digits.map((digit) => digit * 10 ** power));
    return found.filter((value) => value >= low && value <= high);
  };
  const few = within([1, 2, 5]);
  return few.length >= 3 ? few.slice(0, 7) : within([1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]).slice(0, 7);
}

function axes(scale, x, y) {
  const base = PLOT.height - PLOT.bottom;
  const across = ticks(scale.x).map((value) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: scale.x.at(value), x2: scale.x.at(value), y1: PLOT.top, y2: base }),
      svg("text", { x: scale.x.at(value), y: base + 15, "text-anchor": "middle" }, short(value)),
    ),
  );
  const up = ticks(scale.y).map((value) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", {
        x1: PLOT.left,
        x2: PLOT.width - PLOT.right,
        y1: scale.y.at(value),
        y2: scale.y.at(value),
      }),
      svg("text", { x: PLOT.left - 6, y: scale.y.at(value) + 4, "text-anchor": "end" }, short(value)),
    ),
  );
  const middle = (PLOT.top + base) / 2;
  return [
    ...across,
    ...up,
    svg(
      "text",
      { class: "axis", x: (PLOT.left + PLOT.width) / 2, y: PLOT.height - 6, "text-anchor": "middle" },
      `${LABELS[QUANTITIES[x]]} (log)`,
    ),
    svg(
      "text",
      { class: "axis", x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` },
      `${LABELS[QUANTITIES[y]]} (log)`,
    ),
  ];
}

function frontMarks(points, front, at) {
  const cloud = points
    .map(at)
    .map(([px, py]) => `M${px} ${py}h0`)
    .join("");
  const line = front
    .map(at)
    .map(([px, py], i) => (i ? `H${px}V${py}` : `M${px} ${py}`))
    .join("");
  return [
    svg("path", { class: "cloud", d: cloud }),
    svg("path", { class: "front", d: line }),
    ...front.map(at).map(([cx, cy]) => svg("circle", { class: "front-point", cx, cy, r: 3 })),
  ];
}

const plainMark = ({ depth }, [x, y]) =>
  svg(
    "g",
    { class: "plain-network" },
    svg("rect", { x: x - 4, y: y - 4, width: 8, height: 8 }),
    svg("text", { x: Number(x) + 7, y: Number(y) + 4 }, String(depth)),
  );

const currentMarks = ([cx, cy]) => [
  svg("circle", { class: "current-halo", cx, cy, r: 9 }),
  svg("path", { class: "current", d: `M${cx} ${cy - 6}l6 6l-6 6l-6 -6z` }),
];

// A budget is a line on the axis that shows its quantity, where it lies within the picture.
function budgetMarks(state, scale, x, y) {
  const base = PLOT.height - PLOT.bottom;
  const budgets = [
    [PARAMS, state.maxParams],
    [MACS, state.maxMacs],
  ].filter(([, most]) => most !== null);
  const within = ({ low, high }, most) => most >= low && most <= high;
  const across = budgets
    .filter(([quantity, most]) => quantity === x && within(scale.x, most))
    .map(([, most]) => svg("path", { class: "budget", d: `M${scale.x.at(most)} ${PLOT.top}V${base}` }));
  const up = budgets
    .filter(([quantity, most]) => quantity === y && within(scale.y, most))
    .map(([, most]) => svg("path", { class: "budget", d: `M${PLOT.left} ${scale.y.at(most)}H${PLOT.width - PLOT.right}` }));
  return [...across, ...up];
}
