//! Python environments.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "python",
    what: "Python: venv, pip (offline), wheels, editable installs, .pth, pytest, subprocesses, a web server",
    needs: &["python3"],
    quick: false,
    script: r##"python3 -m venv env && . env/bin/activate
mkdir -p pkg/noise_pkg && printf 'VALUE = 7\ndef main():\n    print(VALUE)\n' > pkg/noise_pkg/__init__.py
cat > pkg/setup.py <<'SETUP'
from setuptools import setup
setup(name="noise_pkg", version="1.0", packages=["noise_pkg"], entry_points={"console_scripts": ["noise=noise_pkg:main"]})
SETUP
python -m pip --version && python -m pip list --disable-pip-version-check
if python -c 'import setuptools' 2>/dev/null; then
  pip install -q --no-index --no-build-isolation --disable-pip-version-check ./pkg || true
  pip uninstall -q -y noise_pkg || true
  pip install -q --no-index --no-build-isolation --disable-pip-version-check -e ./pkg || true
  mkdir -p wheels && pip wheel -q --no-index --no-build-isolation --no-deps --disable-pip-version-check -w wheels ./pkg && pip install -q --no-index --disable-pip-version-check --force-reinstall wheels/*.whl || true
fi
python -m compileall -q pkg
python - <<'PY'
import subprocess, tempfile, os, multiprocessing, ssl, sqlite3, ctypes
subprocess.run("ls -l | wc -l", shell=True, check=True)
subprocess.run(["sh", "-c", "id -u"], check=True)
with tempfile.NamedTemporaryFile() as f: f.write(b"x")
def work(n): return n * n
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(work, range(8)))
PY
python -m http.server 18091 --bind 127.0.0.1 >/dev/null 2>&1 &
server=$!
wait_for python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:18091/").read()'
kill $server && wait $server || true
[ ! -d env/lib ] || python - <<'PY'
import site, pathlib, zipfile
# A wheel by hand, as builders make them, with a .pth file as editable installs have it.
with zipfile.ZipFile("noise_editable-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("_noise_editable.pth", str(pathlib.Path("pkg").resolve()) + "\n")
    wheel.writestr("noise_editable-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: noise_editable\nVersion: 1.0\n")
    wheel.writestr("noise_editable-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: noise\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("noise_editable-1.0.dist-info/RECORD", "")
PY
python -m pip install -q --no-index --disable-pip-version-check noise_editable-1.0-py3-none-any.whl && python -c 'import noise_pkg' && python -m pip freeze --disable-pip-version-check >/dev/null || true
printf 'def test_works(tmp_path):\n    (tmp_path / "x").write_text("y")\n    assert (tmp_path / "x").read_text() == "y"\n' > test_noise.py
! /usr/bin/python3 -m pytest --version >/dev/null 2>&1 || /usr/bin/python3 -m pytest -q test_noise.py
python3 -m venv --system-site-packages second && second/bin/python -c 'import sys; print(sys.prefix)' && second/bin/python -m pip list --disable-pip-version-check >/dev/null
python -m zipapp pkg -o noise.pyz -m noise_pkg:main -p '/usr/bin/env python3' && ./noise.pyz
cat > session.py <<'PY'
import ctypes, mmap, os, pty, socket, subprocess, tempfile, asyncio
libc = ctypes.CDLL(None); print(libc.getpid())
pty.spawn(["sh", "-c", "echo on a terminal"])
a, b = socket.socketpair(); a.send(b"x"); b.recv(1)
print(subprocess.run("cat", input=b"x", capture_output=True).stdout, os.popen("uname").read())
async def main():
    p = await asyncio.create_subprocess_shell("echo async", stdout=-1); print(await p.communicate())
asyncio.run(main())
PY
python session.py
python -m unittest discover -s pkg || true
deactivate
"##,
};
