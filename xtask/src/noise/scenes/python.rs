//! Python environments.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "python",
    what: "Python: venv, pip (offline), editable installs, byte code, subprocesses, a web server",
    needs: &["python3"],
    quick: false,
    script: r##"python3 -m venv env && . env/bin/activate
mkdir -p pkg/noise_pkg && printf 'VALUE = 7\n' > pkg/noise_pkg/__init__.py
cat > pkg/setup.py <<'SETUP'
from setuptools import setup
setup(name="noise_pkg", version="1.0", packages=["noise_pkg"], entry_points={"console_scripts": ["noise=noise_pkg:print"]})
SETUP
python -m pip --version && python -m pip list --disable-pip-version-check
if python -c 'import setuptools' 2>/dev/null; then
  pip install -q --no-index --no-build-isolation --disable-pip-version-check ./pkg || true
  pip uninstall -q -y noise_pkg || true
  pip install -q --no-index --no-build-isolation --disable-pip-version-check -e ./pkg || true
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
python -m unittest discover -s pkg || true
deactivate
"##,
};
