import subprocess
import sys
from importlib.metadata import version

import pytest

import pwoct


def test_public_names_exist():
    assert sorted(pwoct.__all__) == pwoct.__all__
    for name in pwoct.__all__:
        assert getattr(pwoct, name) is not None


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'pwoct' has no attribute 'OctConv3d'"):
        pwoct.OctConv3d  # noqa: B018


def test_names_can_be_completed():
    assert {*pwoct.__all__, "__version__"} <= {*dir(pwoct)}


def test_the_version_is_that_of_the_package():
    assert pwoct.__version__ == version("pwoct-cost")


def test_importing_the_package_does_not_import_torch():
    code = "import sys, pwoct, pwoct.channels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys, pwoct; pwoct.OctConv; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
