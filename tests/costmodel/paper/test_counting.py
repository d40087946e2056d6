from __future__ import annotations

from costmodel.paper.counting import BUILT, PRINTED, Counting
from costmodel.paper.inventory import KINDS
from costmodel.paper.printed import Paper


def count(paper: Paper, key: str, reading: object = PRINTED) -> int:
    return reading.count(paper.by_key[key], "params")  # type: ignore[attr-defined]


def test_every_kind_has_a_coefficient() -> None:
    assert set(Counting().coefficients()) == set(KINDS)


def test_the_plain_row_has_the_keras_total(paper: Paper) -> None:
    kernels = 9 * (3 * 16 + 16 * 18 * 16 + 16 * 32 + 17 * 32**2 + 32 * 64 + 17 * 64**2) + 16 * 32 + 32 * 64
    biases = 16 + 18 * (16 + 32 + 64) + 32 + 64
    bn = 4 * (16 + 18 * (16 + 32 + 64))
    assert count(paper, "1.1") == kernels + biases + bn + 64 * 10 + 10 == 861_770


def test_the_octave_row_has_no_bias_but_those_of_stem_and_head(paper: Paper) -> None:
    assert count(paper, "1.1") - count(paper, "1.2") == 18 * (16 + 32 + 64) + 32 + 64


def test_the_reading_of_all_paths_by_hand(paper: Paper) -> None:
    # The kxk kernels of a layer with c outputs: 9 (2 (3c/8)² + 2 (c/8)²) = 45 c²/16.
    replaced = 9 * (17 * 16**2 + 16 * 32 + 17 * 32**2 + 32 * 64 + 16 * 64**2)
    kept = 45 * (17 * 16**2 + 18 * 32**2 + 17 * 64**2) // 16
    assert count(paper, "1.2") - count(paper, "1.3") == replaced - kept
    assert count(paper, "1.3") == 310_874


def test_the_1x1_kernels_of_all_paths_by_hand(paper: Paper) -> None:
    # c_in (m_H + m_L) = c_in c/2, and (3c/8) (3c/4) twice with (c/8) (c/4) twice is 5 c²/8.
    reduce = (17 * 16**2 + 16 * 32 + 17 * 32**2 + 32 * 64 + 16 * 64**2) // 2
    expand = 5 * (17 * 16**2 + 18 * 32**2 + 17 * 64**2) // 8
    assert count(paper, "1.3", PRINTED.with_pointwise()) - count(paper, "1.3") == reduce + expand == 102_688


def test_known_counts(paper: Paper) -> None:
    """Counts that were found before this package was written."""
    readings = {"1.3": 310_874, "3.1": 648_806, "2.3": 824_990, "4.3": 591_098, "4.4": 1_296_446}
    with_pointwise = {"1.3": 413_562, "3.1": 700_230, "2.3": 859_406, "4.3": 802_650, "4.4": 1_402_302}
    built = {"1.1": 855_578, "1.3": 409_482, "3.1": 696_150, "4.4": 1_394_190}
    assert {key: count(paper, key) for key in readings} == readings
    assert {key: count(paper, key, PRINTED.with_pointwise()) for key in with_pointwise} == with_pointwise
    assert {key: count(paper, key, BUILT) for key in built} == built


def test_known_macs(paper: Paper) -> None:
    known = {"1.1": 125_747_840, "1.2": 85_295_744, "1.4": 38_306_432, "3.1": 79_309_440, "1.3": 36_473_472}
    assert {key: BUILT.count(paper.by_key[key], "macs") for key in known} == known
    for key in known:
        row = paper.by_key[key]
        ratio = {"1.1": (1, 1), "1.2": (43, 64), "1.3": (43, 64), "3.1": (43, 64), "1.4": (19, 64)}[key]
        shortcuts = (16 * 32 * 16**2 + 32 * 64 * 8**2) * ratio[0] // ratio[1]
        assert BUILT.count(row, "macs") - PRINTED.count(row, "macs") == shortcuts


def test_reading_differs_from_the_built_network_by_what_it_says(paper: Paper) -> None:
    """Of octave rows: the stem's bias, and 2 numbers per channel of BN."""
    for key in ("1.2", "1.3", "3.1"):
        difference = count(paper, key, PRINTED.with_pointwise()) - count(paper, key, BUILT)
        assert difference == 16 + 2 * (16 + 18 * (16 + 32 + 64))


def test_frozen_pointwise_kernels_leave_306794(paper: Paper) -> None:
    frozen = count(paper, "1.3", BUILT.without_pointwise())
    assert frozen == count(paper, "1.3") - 16 - 2 * (16 + 18 * (16 + 32 + 64)) == 306_794
