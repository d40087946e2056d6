"""Small studies for tests on a cluster, and what their workers tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pwoct.training.signals import Signals
from pwoct.training.study import Study
from pwoct.training.worker import News

NETWORKS = [{"model.alpha": "0"}, {"model.alpha": "1/2"}]
TINY = {
    "model.name": "resnet8",
    "model.width": 4,
    "data.dataset": "synthetic",
    "data.train_images": 64,
    "epochs": 3,
    "batch": 32,
    "machine.threads": 1,
    "machine.precision": "fp32",
    "machine.plan": "lean",
}


class Heard:
    """Keeps what workers tell, and may act on it."""

    def __init__(self, act: Callable[[News], object] = lambda _: None) -> None:
        self.news: list[News] = []
        self.notes: list[str] = []
        self._act = act

    def told(self, news: News) -> None:
        self.news.append(news)
        self._act(news)

    def of(self, run: str, kind: str) -> list[News]:
        return [news for news in self.news if (news.run, news.kind) == (run, kind)]


def carry_out_here(
    client: Any, study: Study, heard: Heard, signals: Signals | None = None
) -> dict[str, Exception]:
    from pwoct.training.cluster import carry_out_on

    return carry_out_on(client, study, None, watcher=heard, note=heard.notes.append, signals=signals)
