//! Node and npm, without a registry.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "node",
    what: "Node: a package with scripts, installed from a tarball, run, tested, served",
    needs: &["node", "npm"],
    quick: false,
    script: r##"export HOME="$PWD" npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
mkdir -p library/bin && cd library
cat > package.json <<'JSON'
{ "name": "noise-library", "version": "1.0.0", "main": "index.js", "bin": { "noise-tool": "bin/tool.js" },
  "scripts": { "postinstall": "node -e \"require('fs').writeFileSync('built', 'x')\" && sh -c 'id -u'" } }
JSON
echo 'module.exports = () => 7;' > index.js
printf '#!/usr/bin/env node\nconsole.log(require("..")());\n' > bin/tool.js && chmod +x bin/tool.js
npm pack --silent && cd .. && mkdir application && cd application
cat > package.json <<'JSON'
{ "name": "noise-application", "version": "1.0.0",
  "scripts": { "build": "mkdir -p dist && cp index.js dist/", "test": "node --test || node index.js", "start": "node index.js" } }
JSON
echo 'const c = require("child_process"); console.log(require("noise-library")(), c.execSync("uname -m").toString(), c.execFileSync("id", ["-u"]).toString());' > index.js
npm install --silent ../library/noise-library-1.0.0.tgz
npm run --silent build && npm test --silent && npm start --silent && npx --no-install noise-tool && npm ls --silent
cat > server.js <<'JS'
require("http").createServer((q, a) => a.end("ok")).listen(18095, "127.0.0.1");
JS
node server.js & server=$!
wait_for node -e 'fetch("http://127.0.0.1:18095/").then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))'
kill $server && wait $server || true
"##,
};
