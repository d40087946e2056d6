"""Check a certificate of `prove --certificate FILE` with sympy and integers: python THIS_FILE FILE.

It trusts no step. It can't see whether a traced expression is what the code does; but at every instance
the traced total must be what a plain run counted.
"""

import ast
import json
import operator as op
import sys
from itertools import product
from typing import Any

import sympy as sp

BINARY: dict[type, Any] = {ast.Add: op.add, ast.Sub: op.sub, ast.Mult: op.mul, ast.Div: op.truediv}
BINARY |= {ast.Pow: op.pow, ast.BitOr: sp.Or, ast.BitAnd: sp.And}
CALLS = {name: getattr(sp, name) for name in ("floor", "ceiling", "Mod", "Max", "Min", "Eq", "Ne")}
COMPARED: dict[type, Any] = {ast.GtE: sp.Ge, ast.Gt: sp.Gt, ast.LtE: sp.Le, ast.Lt: sp.Lt}
SIGNS = {sp.Ge: [(1, 0)], sp.Gt: [(1, 1)], sp.Le: [(-1, 0)], sp.Lt: [(-1, 1)], sp.Ne: [(1, 1), (-1, 1)]}
Domain = tuple[dict[Any, int], list[Any], list[dict[Any, Any]]]  # least values, facts, ways to write


def read(text: Any) -> Any:
    """Read an expression or a condition, as text or as a syntax tree; nothing in it is executed."""
    node: Any = ast.parse(text.strip(), mode="eval").body if isinstance(text, str) else text
    if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        return sp.sympify(node.value)
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
    """Return coefficient and monomial of each term; what is no polynomial has the coefficient NaN."""
    e = sp.expand(e)
    known = e.is_polynomial(*e.free_symbols) and not e.atoms(sp.Function)
    return [term.as_coeff_Mul() for term in sp.Add.make_args(e)] if known else [(sp.nan, e)]


def nonnegative(e: Any, domain: Domain) -> bool:
    """Return whether a polynomial is at least 0: no negative term beyond a fact, in one way to write it."""
    least, facts, worlds = domain
    for world, fact in product(({}, *worlds), (sp.Integer(0), *facts)):
        rest = sp.expand((e - fact).subs(world))
        if rest.free_symbols <= set(least) and not rest.atoms(sp.Function):
            rest = rest.subs({s: s + least[s] for s in rest.free_symbols}, simultaneous=True)
            if all(k >= 0 for k, _ in terms(rest)):
                return True
    constant, rest = sp.expand(e).as_coeff_Add()  # no theorem is about sizes beyond a machine's
    return bool(constant >= 2**62 and max(abs(k) for k, _ in terms(rest)) < 2**31)


def whole(e: Any) -> Any:
    """Return a quotient rounded down, whose terms but the constant must be whole."""
    constant, rest = sp.expand(e).as_coeff_Add()
    return rest + sp.floor(constant) if all(k.is_Integer for k, _ in terms(rest)) else sp.nan


def _residues(c: Any, step: Any, domain: Domain) -> bool:
    (least, facts, worlds), shown = domain, []
    moduli = {sp.Symbol(s, integer=True): m for s, m in step["modulus"].items()}
    for rs, case in zip(product(*map(range, moduli.values())), step["cases"], strict=True):
        new = {s: m * s + r for (s, m), r in zip(moduli.items(), rs, strict=True)}
        low = {s: -((r - least[s]) // m) for (s, m), r in zip(moduli.items(), rs, strict=True)}
        inner = [fact.subs(new, simultaneous=True) for fact in facts]
        kept = [w for w in worlds if not set(new) & {*w, *sp.Tuple(*w.values()).free_symbols}]
        inside = c.subs(new, simultaneous=True).replace(sp.floor, lambda x: whole(x))
        inside = inside.replace(sp.ceiling, lambda x: -whole(-x))
        inside = inside.replace(sp.Mod, lambda x, m: x - m * whole(x / m))
        shown.append(holds(inside, case, ({**least, **low}, inner, kept)))
    return all(shown)


def _quotient(c: Any, step: Any, domain: Domain) -> bool:
    least, facts, worlds = domain
    of, above, below = (read(step[key]) for key in ("of", "above", "below"))
    number = sp.Symbol(f"quotient_{sum(s.name.startswith('quotient_') for s in least)}", integer=True)
    sound = isinstance(of, sp.floor) and sp.cancel(of.args[0] - above / below) == 0
    sound = sound and nonnegative(above, domain) and nonnegative(below - 1, domain)
    inside = {**least, number: 0}, facts, worlds
    return bool(sound and holds(c.xreplace({of: number}), step["step"], inside))


def _choice(c: Any, step: Any, domain: Domain) -> bool:
    (least, facts, worlds), of, shown = domain, read(step["of"]), []
    for chosen, case in zip(map(read, step["arguments"]), step["cases"], strict=True):
        more = [chosen - x if isinstance(of, sp.Max) else x - chosen for x in of.args if x != chosen]
        impossible = any(nonnegative(-fact - 1, (least, [], [])) for fact in more)
        shown.append(impossible or holds(c.xreplace({of: chosen}), case, (least, [*facts, *more], worlds)))
    return isinstance(of, sp.Max | sp.Min) and {*of.args} == {*map(read, step["arguments"])} and all(shown)


def holds(c: Any, step: Any, domain: Domain) -> bool:
    """Return whether a condition is shown for the whole domain; ValueError is no proof either."""
    rules = {"residues": _residues, "quotient": _quotient, "choice": _choice}
    if step["rule"] in rules:
        return rules[step["rule"]](c, step, domain)
    if isinstance(c, sp.Or | sp.And):
        steps, all_or_any = step.get("parts", [step.get("step")]), any if isinstance(c, sp.Or) else all
        return all_or_any(any(holds(part, one, domain) for one in steps) for part in c.args)
    if c in (sp.true, sp.false):
        return bool(c)
    difference = sp.expand(c.lhs - c.rhs)
    if not all(k.is_Rational for k, _ in terms(difference)):
        return False
    difference *= sp.ilcm(1, *(k.q for k, _ in terms(difference)))
    constant, rest = sp.expand(difference).as_coeff_Add()
    divisor = sp.igcd(0, *(k for k, _ in terms(rest)))
    if isinstance(c, sp.Eq) or (isinstance(c, sp.Ne) and divisor and constant % divisor):
        return isinstance(c, sp.Ne) or difference == 0
    return any(nonnegative(s * difference - a, domain) for s, a in SIGNS[type(c)])


def faults(certificate: Any) -> Any:
    """Yield a sentence for each thing in a certificate that does not hold."""
    for theorem in certificate["theorems"]:
        for failure in theorem["failures"] if theorem["runs"] else ["nothing was run"]:
            yield f"{theorem['name']}: {failure}"
        for run in theorem["runs"]:
            for fault in _faults(run, **run["domain"]):
                yield f"{theorem['name']}, {run['name']}: {fault}"


def _faults(run: Any, least: Any, facts: Any, worlds: Any, rounded: Any) -> Any:  # noqa: ARG001
    named = {sp.Symbol(s, integer=True): value for s, value in least.items()}
    domain = named, [*map(read, facts)], [{read(s): read(e) for s, e in world.items()} for world in worlds]
    for name, quantity, code, formula in run["compared"]:
        if code != formula and sp.expand(read(code) - read(formula)) != 0:
            yield f"{name}: {quantity}: {code} is not {formula}"
    for text, step in run["conditions"]:
        if not holds(read(text), step, domain):
            yield f"{text} does not follow"
    for numbers, macs in run["instances"]:
        values = {sp.Symbol(s, integer=True): value for s, value in numbers.items()}
        for name, quantity, code, _ in run["compared"]:
            if (name, quantity) == ("all layers", "macs") and read(code).subs(values) != macs:
                yield f"{macs} MACs were counted at {numbers}"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.exit("\n".join(faults(json.load(file))) or 0)
