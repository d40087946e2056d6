"""Check a certificate of `prove --certificate FILE` with sympy and integers: python THIS_FILE FILE."""

import ast
import json
import sys
from hashlib import sha256
from itertools import product
from re import findall
from typing import Any

import sympy as sp

BINARY: dict[type, Any] = {ast.Sub: lambda a, b: a - b, ast.Div: lambda a, b: a / b, ast.Add: sp.Add}
BINARY |= {ast.Mult: sp.Mul, ast.Pow: sp.Pow, ast.BitOr: sp.Or, ast.BitAnd: sp.And}
TOTAL = "all layers", "macs"
CALLS = {name: getattr(sp, name) for name in ("floor", "ceiling", "Mod", "Max", "Min", "Eq", "Ne")}
COMPARED: dict[type, Any] = {ast.GtE: sp.Ge, ast.Gt: sp.Gt, ast.LtE: sp.Le, ast.Lt: sp.Lt}
WHOLE = {True: sp.floor, False: lambda _: sp.nan}  # what remains of a term of a quotient rounded down
SIGNS = {sp.Ge: [(1, 0)], sp.Gt: [(1, 1)], sp.Le: [(-1, 0)], sp.Lt: [(-1, 1)], sp.Ne: [(1, 1), (-1, 1)]}


def read(text: Any) -> Any:
    """Read an expression or a condition, as text or as a syntax tree; nothing in it is executed."""
    node: Any = ast.parse(text.strip(), mode="eval").body if isinstance(text, str) else text
    if isinstance(node, ast.Constant):
        return {int: sp.Integer, bool: sp.sympify}[type(node.value)](node.value)
    if isinstance(node, ast.Name):
        return sp.Symbol(node.id, integer=True)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -read(node.operand)
    if isinstance(node, ast.BinOp):
        return BINARY[type(node.op)](read(node.left), read(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return COMPARED[type(node.ops[0])](read(node.left), read(node.comparators[0]), evaluate=False)
    name = node.func.id  # of anything else, an AttributeError
    return CALLS[name](*map(read, node.args), **({"evaluate": False} if name in ("Eq", "Ne") else {}))


def terms(e: Any) -> list[Any]:
    """Return coefficient and monomial of each term; anything but a polynomial has the coefficient NaN."""
    known = (e := sp.expand(e)).is_polynomial(*e.free_symbols) and not e.atoms(sp.Function)
    return [term.as_coeff_Mul() for term in sp.Add.make_args(e)] if known else [(sp.nan, e)]


def nonnegative(e: Any, domain: Any) -> bool:
    """Return whether a polynomial is at least 0: no negative term beyond a fact, in one way to write it."""
    least, facts, worlds = domain
    for world, fact in product(({}, *worlds), (sp.Integer(0), *facts)):
        rest = sp.expand((e - fact).subs(world))
        rest = rest.subs({s: s + least.get(s, sp.nan) for s in rest.free_symbols}, simultaneous=True)
        if all(k.is_nonnegative for k, _ in terms(rest)):
            return True
    constant, rest = sp.expand(e).as_coeff_Add()  # no theorem is about sizes beyond a machine's
    return bool(constant >= 2**62 and max(abs(k) for k, _ in terms(rest)) < 2**31)


def _residues(c: Any, step: Any, domain: Any) -> bool:
    least, facts, worlds = domain
    moduli = {sp.Symbol(s, integer=True): m for s, m in step["modulus"].items()}
    shown = [type(m) is int and m > 0 for m in moduli.values()]
    for rs, case in zip(product(*map(range, moduli.values())), step["cases"], strict=True):
        new = {s: m * s + r for (s, m), r in zip(moduli.items(), rs, strict=True)}
        low = {s: -((r - least[s]) // m) for (s, m), r in zip(moduli.items(), rs, strict=True)}
        inner = [fact.subs(new, simultaneous=True) for fact in facts]
        kept = [w for w in worlds if not set(new) & {*w, *sp.Tuple(*w.values()).free_symbols}]
        inside = c.subs(new, simultaneous=True).replace(sp.Mod, lambda x, m: x - m * sp.floor(x / m))
        inside = inside.replace(sp.ceiling, lambda x: -sp.floor(-x)).replace(
            sp.floor, lambda x: sum(WHOLE[k.is_Integer or m == 1](k) * m for k, m in terms(x))
        )
        shown.append(holds(inside, case, ({**least, **low}, inner, kept)))
    return all(shown)


def _quotient(c: Any, step: Any, domain: Any) -> bool:
    of, above, below = (read(step[key]) for key in ("of", "above", "below"))
    number = sp.Symbol(f"quotient_{sum(s.name.startswith('quotient_') for s in domain[0])}", integer=True)
    sound = isinstance(of, sp.floor) and sp.cancel(of.args[0] - above / below) == 0
    sound = sound and nonnegative(above, domain) and nonnegative(below - 1, domain)
    sound = sound and number not in {*domain[0], *c.free_symbols}
    return sound and holds(c.xreplace({of: number}), step["step"], ({**domain[0], number: 0}, *domain[1:]))


def _choice(c: Any, step: Any, domain: Any) -> bool:
    (least, facts, worlds), of, shown = domain, read(step["of"]), []
    for chosen, case in zip(map(read, step["arguments"]), step["cases"], strict=True):
        more = [chosen - x if isinstance(of, sp.Max) else x - chosen for x in of.args if x != chosen]
        impossible = any(nonnegative(-fact - 1, (least, [], [])) for fact in more)
        shown.append(impossible or holds(c.xreplace({of: chosen}), case, (least, [*facts, *more], worlds)))
    return isinstance(of, sp.Max | sp.Min) and {*of.args} == {*map(read, step["arguments"])} and all(shown)


def holds(c: Any, step: Any, domain: Any) -> bool:
    """Return whether a condition is shown for the whole domain; ValueError is not a proof either."""
    if rule := {"residues": _residues, "quotient": _quotient, "choice": _choice}.get(step["rule"]):
        return rule(c, step, domain)
    if isinstance(c, sp.Or | sp.And) or c in (sp.true, sp.false):
        steps, some = step.get("parts", [step.get("step")]), isinstance(c, sp.Or) or c == sp.false
        return (any if some else all)(any(holds(part, one, domain) for one in steps) for part in c.args)
    difference = sp.expand(c.lhs - c.rhs)
    if not all(k.is_Rational for k, _ in terms(difference)):
        return False
    difference = sp.expand(difference * sp.ilcm(1, *(k.q for k, _ in terms(difference))))
    divisor = sp.igcd(0, 0, *(k for k, m in terms(difference) if m != 1))
    if isinstance(c, sp.Eq) or (isinstance(c, sp.Ne) and divisor and difference.as_coeff_Add()[0] % divisor):
        return isinstance(c, sp.Ne) or difference == 0
    return any(nonnegative(s * difference - a, domain) for s, a in SIGNS[type(c)])


def faults(content: Any) -> Any:
    """Yield what does not hold; whether expressions and conditions are those of the code, it can't see."""
    if content["sha256"] != sha256(json.dumps(content["theorems"], sort_keys=True).encode()).hexdigest():
        yield "the theorems are not those that were written: their SHA-256 differs"
    for theorem in content["theorems"]:
        failures = theorem["failures"] if theorem["runs"] else ["nothing was run"]
        yield from (f"{theorem['name']}: {failure}" for failure in failures)
        for run in theorem["runs"]:
            yield from (f"{theorem['name']}, {run['name']}: {f}" for f in _faults(run, **run["domain"]))


def _faults(run: Any, least: Any, facts: Any, worlds: Any, rounded: Any) -> Any:
    low = {sp.Symbol(s, integer=True): value for s, value in least.items()}
    domain = low, [*map(read, facts)], [{read(s): read(e) for s, e in world.items()} for world in worlds]
    yield from (f"{t} does not follow" for t, step in run["conditions"] if not holds(read(t), step, domain))
    texts = json.dumps([facts, worlds, rounded, [row[2:] for row in run["compared"]]])
    names = {*findall(r"[^\W\d]\w*\b(?!\()", texts)}  # of whatever is not called
    yield from (f"{name} is not a size of the domain" for name in sorted(names - {*least}))
    same = [s - e for world in domain[2] for s, e in world.items()]
    same += [sp.floor(read(quotient)) - read(s) for quotient, s in rounded]
    yield from _unequal(run, [*domain[1], *same, *(-e for e in same), *(s - k for s, k in low.items())])


def _unequal(run: Any, needed: Any) -> Any:
    left: dict[str, Any] = {"macs": [], "params": []}
    traced = [read(code) for name, quantity, code, _ in run["compared"] if (name, quantity) == TOTAL]
    for name, quantity, code, formula in run["compared"]:
        if traced and quantity in left:
            left[quantity].append(read(code) * (1 if name == TOTAL[0] else -1))
        if code != formula and sp.expand(read(code) - read(formula)) != 0:
            yield f"{name}: {quantity}: {code} is not {formula}"
    if bool(traced) != bool(run["instances"]) or any(sp.expand(sp.Add(*left[q])) for q in left):
        yield "all layers: the totals are not the sums of the layers, or were counted at no instance"
    for numbers, macs in (*run["instances"], (run["sample"], ...)):
        at = {sp.Symbol(s, integer=True): sp.Integer(value) for s, value in numbers.items()}
        if not all(e.subs(at) >= 0 for e in needed) or (traced and macs not in (..., traced[0].subs(at))):
            yield f"{numbers} lies outside the domain, or other MACs were counted at it than traced"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.exit("\n".join(faults(json.load(file))) or 0)
