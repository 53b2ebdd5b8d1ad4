//! A web server under load.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "web",
    what: "nginx: configured, started, reloaded, under load, logs reopened, stopped",
    needs: &["nginx", "curl"],
    quick: false,
    script: r##"mkdir -p html logs && echo '<p>hello</p>' > html/index.html
cat > nginx.conf <<CONFIG
user www-data;
pid $PWD/nginx.pid;
error_log $PWD/logs/error.log;
events {}
http { access_log $PWD/logs/access.log; server { listen 127.0.0.1:18080; root $PWD/html; location /proxy { proxy_pass http://127.0.0.1:18081/; } } server { listen 127.0.0.1:18081; return 200 ok; } }
CONFIG
chmod 755 "$PWD" html && nginx -t -c "$PWD/nginx.conf" && nginx -c "$PWD/nginx.conf"
wait_for curl -fsS http://127.0.0.1:18080/
if command -v ab >/dev/null; then ab -q -n 20000 -c 20 http://127.0.0.1:18080/ >/dev/null; else
  i=0; while [ $i -lt 200 ]; do i=$((i+1)); curl -fsS http://127.0.0.1:18080/ http://127.0.0.1:18080/proxy >/dev/null; done; fi
nginx -c "$PWD/nginx.conf" -s reload && mv logs/access.log logs/access.log.1 && nginx -c "$PWD/nginx.conf" -s reopen
wait_for curl -fsS http://127.0.0.1:18080/proxy
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost 2>/dev/null && chmod 600 key.pem || true
i=0; while [ $i -lt 50 ]; do i=$((i+1)); curl -sS -o /dev/null "http://127.0.0.1:18080/missing?$i"; done
nginx -c "$PWD/nginx.conf" -s quit
"##,
};
