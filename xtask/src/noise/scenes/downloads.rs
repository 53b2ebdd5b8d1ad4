//! Programs that come from the web.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "downloads",
    what: "downloads: archives fetched, checked, unpacked, installed below a home; an installer by a pipe",
    needs: &["python3", "tar"],
    quick: true,
    script: r##"mkdir -p site tree/tool-1.0/bin home && export HOME="$PWD/home"
printf '#!/bin/sh\necho tool 1.0\n' > tree/tool-1.0/bin/tool && chmod 755 tree/tool-1.0/bin/tool
tar -C tree -czf site/tool-1.0.tar.gz tool-1.0 && (cd site && sha256sum tool-1.0.tar.gz > tool-1.0.tar.gz.sha256)
cp /bin/true site/binary
cat > site/install.sh <<'INSTALL'
#!/bin/sh
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -c 'import urllib.request, sys; urllib.request.urlretrieve(sys.argv[1], sys.argv[2])' http://127.0.0.1:18096/tool-1.0.tar.gz "$directory/tool.tar.gz"
tar -C "$directory" -xzf "$directory/tool.tar.gz"
mkdir -p "$HOME/.local/bin" && install -m 755 "$directory/tool-1.0/bin/tool" "$HOME/.local/bin/tool"
"$HOME/.local/bin/tool"
INSTALL
python3 -m http.server 18096 --bind 127.0.0.1 --directory site >/dev/null 2>&1 & server=$!
wait_for python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:18096/").read()'
if command -v curl >/dev/null; then
  curl -fsSLO http://127.0.0.1:18096/tool-1.0.tar.gz && curl -fsSLO http://127.0.0.1:18096/tool-1.0.tar.gz.sha256 && sha256sum -c tool-1.0.tar.gz.sha256
  curl -fsS http://127.0.0.1:18096/tool-1.0.tar.gz | tar -xz && ./tool-1.0/bin/tool
  # From the disk, for want of TLS on loopback: without it anybody on the way could answer.
  curl -fsSL "file://$PWD/site/install.sh" | sh
  curl -fsSLo binary http://127.0.0.1:18096/binary && chmod +x binary && ./binary && mv binary home/.local/bin/noise-binary
fi
! command -v wget >/dev/null || { wget -q http://127.0.0.1:18096/install.sh && chmod +x install.sh && ./install.sh; }
(cd home && tar -xzf ../site/tool-1.0.tar.gz && make --version >/dev/null 2>&1; "$HOME/tool-1.0/bin/tool")
kill $server && wait $server || true
"##,
};
