"""Install the project once, for all tox environments: python tools/house.py FOLDER [EXTRA ...]

tox gives each environment a folder of its own, and PyTorch is large. So the environments of tox.ini
are empty, and call the Python of this one. It is made anew when what it is made from changes.
"""

import fcntl
import hashlib
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(folder: Path, extras: list[str]) -> None:
    """Make ``folder`` a virtual environment with the project and ``extras``, unless it is one already."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "made-from"
    made_from = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
        + f"{sys.version}{extras}{ROOT}".encode()
    ).hexdigest()
    with folder.with_suffix(".lock").open("w") as lock:  # environments may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == made_from:
            return
        print(f"Installing into {folder.name} (once; PyTorch is large, so this takes some minutes) ...", flush=True)
        start = time.monotonic()
        venv.create(folder, clear=True, with_pip=True)
        package = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
        command = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check",
                   "--constraint", ROOT / "constraints.txt", "--editable", package]  # fmt: skip
        code = subprocess.run(command, check=False).returncode
        if code:
            sys.exit(f"The installation failed (pip's exit code {code}); its message is above.")
        stamp.write_text(made_from)
        print(f"Installed in {time.monotonic() - start:.0f} s.", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
