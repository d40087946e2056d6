// Budgets, and the error of whatever the user typed wrong.

class InputError extends Error {}

// A budget: a whole number, or one with a decimal prefix such as 80M. None is no budget.
const PREFIXES = { "": 0, K: 3, M: 6, G: 9, T: 12 };
function parseBudget(text, name) {
  if (text.trim() === "") return null;
  const [, whole, places = "", prefix] = /^\s*(\d{1,15})(?:\.(\d{1,15}))?\s*([kmgt]?)\s*$/i.exec(text) ?? [];
  const zeros = PREFIXES[prefix?.toUpperCase()] - places.length;
  const value = Number(`${whole}${places}e${zeros}`);
  if (whole === undefined || !Number.isSafeInteger(value) || value === 0)
    throw new InputError(`most ${name} must be a whole number such as 700000 or 80M, got ${text}`);
  return value;
}

const budgetText = (value) => (value === null ? "" : String(value));
