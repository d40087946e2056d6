"""What was made for the keys that were used last: a cache that does not grow."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, ValuesView
from threading import Lock
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Values by key, made when they are first needed, and kept for the `most` keys that were used last.

    Threads may share it. Copies are empty: they make their own values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()  # the one used last at the end
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Latest, (self._most,)

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> ValuesView[V]:
        """Return the values, the one used last at the end."""
        return self._values.values()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, which is made if it is not kept."""
        with self._lock:
            value = self._values.pop(key) if key in self._values else make()
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()
