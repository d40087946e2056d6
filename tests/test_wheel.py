"""The wheel, in a new environment: it holds all it needs and runs the main command from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("costmodel", "pwoct")


def run(*command: str | Path, cwd: Path) -> str:
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=apart, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    listed = run("git", "ls-files", "-co", "--exclude-standard", "cli.py", *PACKAGES, cwd=ROOT).split()
    assert held == {name for name in listed if (ROOT / name).exists()}


def test_the_main_command_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "new", with_pip=False)
    python = tmp_path / "new" / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=tmp_path,
    )
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    # The dependencies come from the running environment; its copy of this project stays behind the wheel's.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(python, "-c", "import costmodel; print(costmodel.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(site)
    command = tmp_path / "new" / "bin" / "pwoct-cost"
    out = run(command, "--alpha", "0.25", "--beta", "2", "--paths", "HL,LH,LL", cwd=tmp_path)
    assert "696,150" in out
    assert "79,309,440" in out
    (tmp_path / "cli.py").write_text("raise SystemExit('not this one')\n")
    beside = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for words in ([command], [python, "-m", "costmodel"]):
        again = [*words, "--alpha", "0.25", "--beta", "2", "--paths", "HL,LH,LL"]
        done = subprocess.run(again, cwd=tmp_path, env=beside, capture_output=True, text=True, check=True)
        assert done.stdout == out
