"""The exact cost of any `nn.Module`, from the operators that ran; and its closed form.

    trace(module, args=(), kwargs=None, *, training=False) -> Trace

runs a module on tensors without data and returns what ran, one `Call` per operator call. A formula comes
from the call that ran, its shapes and arguments, never from the attributes of a class. Modules and inputs
may be on the meta device; they are not changed.

    trace.calls             the forward pass in eval mode, with gradients enabled, in the order of execution
    trace.parameters        all, trainable, frozen, buffers, unused; a tied parameter counts once
    trace.total()           the sum as a `Cost`: parameters, forward MACs, with training=True gradients too
    trace.uncovered()       calls that no formula covers, with the reason; empty if every MAC is counted
    trace.element_ops()     element operations by part: bias, bn, activation, pool, upsample, add, ...
    trace.by_module(depth)  sums by module, children within their parents; depth=None: every module
    trace.by_operator()     sums by ATen operator; trace.by_kind() sums by kind
    trace.modules           every module: path, class, executions, parameters and buffers of its own
    trace.training          with training=True: one training step in train mode, from the graph that ran
                            (calls of both directions, bytes saved for backward); else None
    trace.route             "fake": ran without data; "real": the code needs values, so it ran on the CPU

A `Call` has: operator ("aten.convolution"), function (what the code called: "conv2d"), module (path of the
innermost module that ran; "" is the model), execution (1 for that module's first run), kind, input and output
shapes, cost (a `Cost`), parts (element operations), bytes_read and bytes_written, parameters (names of the
parameters it read) and reason (why no formula covers it, or "").

    closed_form(module, args, symbols, kwargs=None) -> ClosedForm

runs a module on symbolic sizes. `symbols` names axes of inputs: {0: {0: "n", 2: "h", 3: "w"}} for the first
argument, {"mask": {0: "n"}} for a keyword. Equal names are one size.

    form.total              a `Cost` of sympy expressions; form.per_layer gives the same by module path
    form.domain             the sizes for which it holds: form.domain.text, form.domain.holds({"h": 33, ...})
    form.movement           the same for other outputs, elements read and written, and calls: at a batch of 1,
                            for example, a permutation of axes may be a view instead of a copy
    form.at(n=1, h=33, ...)  the `Cost` in numbers; form.value("macs", n=1, ...) one quantity
    form.caveat             why it does not hold at the sizes of the inputs; "" where it does
    form.status             "exact for the domain", or "interpolated, checked at N sizes"
    form.specialised        where the code fixes a size: by or before which operator

Errors: TraceError (a ValueError) is one line that names the module and, where known, the operator.
"""

from costmodel.tracing.calls import Call, ModuleInfo, ParameterCounts, Trace, TraceError, Training
from costmodel.tracing.closed_form import closed_form
from costmodel.tracing.domain import Domain
from costmodel.tracing.form import ClosedForm
from costmodel.tracing.trace import trace

__all__ = [
    "Call",
    "ClosedForm",
    "Domain",
    "ModuleInfo",
    "ParameterCounts",
    "Trace",
    "TraceError",
    "Training",
    "closed_form",
    "trace",
]
