import copy
import pickle
from functools import partial

from pwoct.plan.shared.latest import Latest


def test_the_values_of_the_keys_used_last_are_kept():
    made = []

    def make(key):
        made.append(key)
        return 10 * key

    latest = Latest(2)
    for key in (1, 2, 1, 3, 1, 2):
        assert latest.get(key, partial(make, key)) == 10 * key
    assert made == [1, 2, 3, 2]  # 3 displaced 2, which was used before 1
    assert list(latest.values()) == [10, 20]
    latest.clear()
    assert not latest


def test_copies_are_empty_and_keep_the_bound():
    latest = Latest(1)
    latest.get("a", object)
    for copied in (copy.deepcopy(latest), pickle.loads(pickle.dumps(latest))):
        assert not copied
        copied.get("b", int)
        copied.get("c", int)
        assert len(copied) == len(latest) == 1
