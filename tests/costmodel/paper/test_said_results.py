"""What other pages say of the measured accuracies is what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from costmodel.paper.printed import Paper
from costmodel.paper.records import read_records
from costmodel.paper.study_results import StudyResults

ROOT = Path(__file__).parents[3]
_PAGES = ("README.md", "docs/faq.md")  # they repeat results in words


@pytest.mark.parametrize("page", _PAGES)
def test_what_pages_say_of_the_loss_is_what_was_measured(paper: Paper, page: str) -> None:
    measured = StudyResults(paper, read_records([ROOT / "docs/records"]))
    plain = measured.part_a["1.1"].mean
    lost = [plain - one.mean for key, one in measured.part_a.items() if one.values and key != "1.1"]
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert f"lose to the plain one by {min(lost):.1f} to {max(lost):.1f} points" in text


def test_what_pages_say_of_the_verdicts_is_the_page_of_results() -> None:
    results = (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    verdicts = dict(re.findall(r"^\* \*\*([1-4])\. .*: (.*)\.\*\* Measured", results, re.MULTILINE))
    assert verdicts == {"1": "holds", "2": "holds", "3": "holds", "4": "refuted"}
    readme, faq = (" ".join((ROOT / page).read_text(encoding="utf-8").split()) for page in _PAGES)
    assert "three of four statements of the paper about accuracy hold at depth 20 after 16 epochs" in readme
    (less,) = re.findall(r"Oct minus plain: -(.*)\.$", results, re.MULTILINE)
    assert f"OctConv at alpha 1/4 does not gain, as the paper says: it loses {less} points." in faq
    quarter, three_quarters = re.findall(
        r"^\* \*\*1\. .*: ([\d.]+ ± [\d.]+); .*: (.*)\.$", results, re.MULTILINE
    )[0]
    assert f"lose {quarter} points more at alpha 1/4 and {three_quarters} at alpha 3/4" in faq
    (few, short), (fewer, shorter) = re.findall(
        r"^\* \*\*5[ab]\. .*: -(.* ± .*); .*: -(.* ± .*)\.$", results, re.MULTILINE
    )
    assert (
        f"as many parameters is {few} points more accurate, and one with as many MACs differs by {short}"
        in faq
    )
    assert f"as many parameters is {float(few.split()[0]):.1f} points more accurate" in readme
    assert (
        f"as many parameters is {fewer} points more accurate, and the one with as many MACs by {shorter}."
        in (faq)
    )
    assert f"HL, LH and LL, the difference is {float(fewer.split()[0]):.1f}." in readme
    assert ("of all runs does not" in faq) == ("**5b refuted instead of undecided**" in results)
    assert "not judged" not in results
    (found,) = re.findall(r"^\* \*\*2\. .*: ([\d.]+ ± [\d.]+)\.$", results, re.MULTILINE)
    assert f"no loss was found at alpha 1/4 ({found})" in faq
