//! Scripts that people write for their own work.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "scripting",
    what: "scripts: reports made again, files renamed, a build in /tmp, settings of applications, a signed commit",
    needs: &["python3", "gcc", "make", "git", "ssh-keygen"],
    quick: true,
    script: r##"cat > reports.py <<'PY'
import csv, os, tempfile
os.makedirs("reports", exist_ok=True)
for n in range(30):
    with open(f"reports/{n}.csv", "w") as file: csv.writer(file).writerows([[n, n * n]] * 20)
    with open(f"reports/{n}.txt", "w") as file: file.write("text\n")
    descriptor, name = tempfile.mkstemp(prefix=f"{n}.csv.", dir="reports"); os.close(descriptor); os.replace(name, f"reports/{n}.csv")
PY
python3 reports.py && python3 reports.py
for n in $(seq 30); do echo row > reports/$n.txt; echo row >> reports/$n.txt; done
for file in reports/*.txt; do copy=$(mktemp "$file.XXXXXX") && tr a-z A-Z < "$file" > "$copy" && mv "$copy" "$file"; sort -o "$file" "$file"; done
mkdir pictures && for n in $(seq 20); do : > pictures/p$n; mv pictures/p$n pictures/p$n.jpg; mv pictures/p$n.jpg pictures/p$n.jpg.v2; done
# A build in /tmp, with what libtool and generators make.
build=$(mktemp -d) && mkdir -p "$build/.libs" && (
  cd "$build"
  printf '#include <stdio.h>\nint main(int n, char **v) { printf("VALUE=%%s\\n", n > 1 ? v[1] : "0"); return 0; }\n' > tool.c
  echo 'int noise_shim(void) { return 7; }' > shim.c && gcc -shared -fPIC -o libshim.so shim.c
  gcc -o .libs/tool tool.c && printf '#!/bin/sh\nexec "$(dirname "$0")/.libs/tool" "$@"\n' > tool && chmod +x tool && ./tool
  ./.libs/tool 7 > settings.sh && sh settings.sh && ./.libs/tool 8 | sh && LD_PRELOAD="$PWD/libshim.so" ./.libs/tool
  printf 'all:\n\t./.libs/tool 9 > made.sh\n\tsh made.sh\n' > Makefile && make
)
rm -r "$build"
# Programs read the settings of applications with everything else.
mkdir application && for name in .env .env.local .env.production .npmrc secrets.yml database.yml; do echo 'A=1' > application/$name; done
cat > settings.py <<'PY'
import os
for directory, _, names in os.walk("application"):
    for name in names: open(os.path.join(directory, name)).read()
PY
python3 settings.py
# Continuous integration hands its steps to a shell; commands keep their colours on a terminal.
python3 -c 'import pty; pty.spawn(["sh", "-c", "ls /; id -u"])' < /dev/null
printf 'set -e\necho a step\n' | bash -e
git init -q repository && cd repository && git config user.name Ada && git config user.email ada@example.org
ssh-keygen -q -t ed25519 -N '' -f ../signing && git config gpg.format ssh && git config user.signingkey "$PWD/../signing.pub"
echo text > file && git add file && git commit -q -S -m signed && cd ..
"##,
};
