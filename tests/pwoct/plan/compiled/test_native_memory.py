"""Where maps lie, what is kept for the next pass, and that Python and C++ mean the same by it."""

import copy
import ctypes
import random
import re

import pytest
import torch

from pwoct.plan import with_plan
from pwoct.plan.compiled import library, memories, operations, training
from pwoct.plan.compiled.operations import Map, place_maps
from pwoct.plan.compiled.program import ProgramRecorder
from pwoct.plan.folded.convolve import Convolution
from pwoct.plan.graph import nodes
from pwoct.resnet import resnet
from tests.pwoct.networks import images, needs_compiler, network, skip_without, step

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (16, 16)


def fields_of(struct, source):
    """The names that a C++ struct declares, up to its first empty line or its end."""
    body = re.search(rf"struct {struct} \{{(.*?)\n(?:\n|\}};)", source, re.DOTALL)[1]
    declared = re.findall(r"^ *[\w: ]+[ *]([a-z]\w*(?:, \w+)*); *(?://.*)?$", body, re.MULTILINE)
    return [name for line in declared for name in line.split(", ")]


def test_python_and_cpp_name_the_same_fields_and_kinds():
    header = (library.SOURCES / "kernels.h").read_text(encoding="utf-8")
    assert fields_of("Operation", header) == [name for name, _ in operations.Operation._fields_]
    source = (library.SOURCES / "step.h").read_text(encoding="utf-8")
    assert fields_of("Step", source) == [name for name, _ in training._Step._fields_]
    kinds = re.findall(r"^  ([A-Z_]+),$", header, re.MULTILINE)
    assert len(kinds) == 24
    assert [getattr(operations, kind) for kind in kinds] == list(range(24))


def test_python_and_cpp_name_the_same_functions():
    def names_in(header):
        source = (library.SOURCES / header).read_text(encoding="utf-8")
        return re.findall(
            r"^  ([A-Z_]+),", re.search(r"^enum \{(.*?)\};", source, re.DOTALL | re.MULTILINE)[1], re.M
        )

    assert [name.lower() for name in names_in("pointwise_maps.h")] == list(nodes.FUNCTIONS)
    assert [getattr(nodes, name) for name in names_in("windows.h")] == [0, 1, 2]


def test_the_layouts_of_python_and_cpp_agree():
    assert ctypes.sizeof(operations.Operation) == library.load().pwoct_operation_bytes()
    assert ctypes.sizeof(training._Step) == library.load().pwoct_step_bytes()


def test_what_is_multiplied_by_winograds_method():
    """In ResNet-8, 4 kernels of stride 1; those of the stem, of stride 2 and of the shortcuts are not."""
    model = resnet(8)
    native = with_plan(copy.deepcopy(model).eval(), "native").program.operations
    kinds = [op.kind for op in native]
    assert kinds.count(operations.WINOGRAD_CONVOLUTION) == 4
    assert kinds.count(operations.CONVOLUTION) == 1 + 2 + 2 + 1
    blocked = with_plan(model.train(), "blocked")
    blocked(images((32, 32), 32).float())
    ((step, _),) = blocked._recorded.values()
    kinds = [op.kind for op in (*step.forward_operations, *step.backward_operations)]
    assert kinds.count(operations.WINOGRAD_CONVOLUTION) == 4 + 4
    assert kinds.count(operations.WINOGRAD_WEIGHT_GRADIENT) == 4
    assert kinds.count(operations.WEIGHT_GRADIENT) == 1 + 2 + 2


@pytest.mark.parametrize(
    "options", [{"alpha": "1/4"}, {"alpha": ["0", "1/2", "1"], "paths": "HL,LL"}], ids=str
)
@pytest.mark.parametrize("rounds", [False, True])
def test_what_was_in_the_memory_does_not_matter(options, rounds, monkeypatch):
    """So no map is read before it is written, and none lies where another one is still needed."""
    model, x, take = network(options), images(SIZE, 32).float(), memories.Memories.take
    results = []
    for value in (0, 0xFF):  # all bits set: no number, in float32 and in bfloat16
        monkeypatch.setattr(memories.Memories, "take", lambda *a, value=value: take(*a).fill_(value))
        with torch.autocast("cpu", torch.bfloat16, enabled=rounds):
            results.append(step(with_plan(copy.deepcopy(model), "blocked"), x))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"alpha": "1/4", "width": 22}, {"alpha": "1/2", "paths": "HH"}], ids=str
)
def test_nothing_is_written_behind_the_memory(options, threads, monkeypatch):
    """Neither maps nor what operations need for themselves."""
    torch.set_num_threads(threads)
    taken = []

    def take(_, size):
        taken.append(torch.full((size + 2**16,), 0x55, dtype=torch.uint8))
        return taken[-1][:size]

    monkeypatch.setattr(memories.Memories, "take", take)
    model, x = network(options), images(SIZE, 48).float()
    for rounds in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=rounds):
            step(with_plan(copy.deepcopy(model).train(), "blocked"), x)
    with_plan(model.eval(), "native", size=SIZE)(x)
    assert len(taken) == 3
    assert all((memory[-(2**16) :] == 0x55).all() for memory in taken)


def test_memory_of_few_sizes_is_kept():
    kept = memories.Memories()
    for size in (16, 8, 16, 24, 16):
        memory = kept.take(size)
        assert memory.numel() == size
        kept.give(memory)
    assert list(kept._free) == [24, 16]  # the sizes used last
    first = kept.take(16)
    assert first is memory
    assert kept.take(16) is not first


@pytest.mark.parametrize("seed", range(20))
def test_maps_that_are_needed_never_overlap(seed):
    draw = random.Random(seed)
    recorder, source = ProgramRecorder(torch.float32), Map(2, 4, 4)
    maps = [source]
    for _ in range(30):
        x = draw.choice(maps)
        if draw.random() < 0.3 and x.height > 1:
            maps.append(recorder.pool(x, 2))
            continue
        alike = [y for y in maps if (y.height, y.width) == (x.height, x.width) and y.channels == 3]
        plus = draw.choice(alike) if alike else None
        maps.append(recorder.convolve(x, Convolution(torch.zeros(3, x.channels, 1, 1), None), plus=plus))
    total = place_maps(recorder.steps, source, maps[-1], 1)
    held: dict[int, Map] = dict.fromkeys(range(source.vectors(1)), source)
    for one in recorder.steps:
        for read in one.reads.values():
            assert all(held[read.place + i] is read for i in range(read.vectors(1)))
        cells = range(one.output.place, one.output.place + one.output.vectors(1))
        held |= dict.fromkeys(cells, one.output)
        assert cells.stop <= total
    assert all(held[maps[-1].place + i] is maps[-1] for i in range(maps[-1].vectors(1)))
    assert total < sum(m.vectors(1) for m in maps)


def test_a_map_that_is_written_in_parts_has_one_place():
    """What the first step reads is not needed by the second one, but must not be written by the first."""
    source, first, second, written = (Map(1, 4, 4) for _ in range(4))
    steps = [
        operations.step(operations.CONVOLUTION, first, {"input": source}),
        operations.step(operations.CONVOLUTION, second, {"input": source}),
        operations.step(operations.CONVOLUTION, written, {"input": first}, spread=2),
        operations.step(operations.CONVOLUTION, written, {"input": second}, spread=2, first_row=1),
    ]
    place_maps(steps, source, written, 1)
    assert len({one.place for one in (first, second, written)}) == 3


def test_weights_are_rounded_once():
    """Winograd's kernels are transformed in float32, whatever the caller's autocast says."""
    blocked = with_plan(network({}), "blocked")
    skip_without(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        blocked(images(SIZE, 16).float())
        ((recorded, tape),) = blocked._recorded.values()
        parameters = torch.cat([parameter.detach().flatten() for parameter in tape.parameters])
        inside = recorded._weights(parameters)
    assert torch.equal(inside, recorded._weights(parameters))


def test_a_network_needs_no_more_memory_than_a_block():
    """The input of a block, what is inside, and the output."""
    native = with_plan(resnet(56).eval(), "native")
    assert native.program.vectors <= 3.25 * 16 * 32 * 32
