"""Install the project once, for all tox environments: python tools/house.py FOLDER [--alone] [EXTRA ...]

tox gives each environment a folder of its own, and PyTorch is large. So the environments of tox.ini
are empty, and call the Python of this one. It is made anew when what it is made from changes.
With --alone only what the extras name is installed, without the project.
"""

import fcntl
import hashlib
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(folder: Path, extras: list[str], *, alone: bool) -> None:
    """Make ``folder`` a virtual environment with ``extras``, and the project unless ``alone``; once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "made-from"
    made_from = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
        + f"{sys.version}{extras}{alone}{ROOT}".encode()
    ).hexdigest()
    with folder.with_suffix(".lock").open("w") as lock:  # environments may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == made_from:
            return
        print(f"Installing into {folder.name} (once; PyTorch is large, so this takes some minutes) ...", flush=True)
        start = time.monotonic()
        venv.create(folder, clear=True, with_pip=True)
        command = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check",
                   "--constraint", ROOT / "constraints.txt", *packages(extras, alone)]  # fmt: skip
        code = subprocess.run(command, check=False).returncode
        if code:
            sys.exit(f"The installation failed (pip's exit code {code}); its message is above.")
        stamp.write_text(made_from)
        print(f"Installed in {time.monotonic() - start:.0f} s.", flush=True)


def packages(extras: list[str], alone: bool) -> list[str]:
    """What pip is told to install."""
    if not alone:
        return ["--editable", f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)]
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return [requirement for extra in extras for requirement in known[extra]]


if __name__ == "__main__":
    words = sys.argv[2:]
    main(Path(sys.argv[1]), [word for word in words if word != "--alone"], alone="--alone" in words)
