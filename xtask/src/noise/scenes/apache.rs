//! A web server that runs programs.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "apache",
    what: "Apache: CGI in shell and Python, PHP by php-fpm, under load, logs by a pipe, reloaded",
    needs: &["apache2", "curl"],
    quick: false,
    script: r##"mkdir -p html cgi logs && echo '<p>hello</p>' > html/index.html && chmod 755 "$PWD" html cgi
printf '#!/bin/sh\necho Content-Type: text/plain; echo; date; uname -r; grep -c . /etc/services\n' > cgi/date.sh
printf '#!/usr/bin/python3\nimport subprocess\nprint("Content-Type: text/plain\\n")\nprint(subprocess.run(["id"], capture_output=True, text=True).stdout)\n' > cgi/id.py
chmod 755 cgi/date.sh cgi/id.py
php=$(ls /usr/sbin/php-fpm* 2>/dev/null | tail -n 1 || true)
handler=""
if [ -n "$php" ]; then
  cat > fpm.conf <<CONFIG
[global]
pid = $PWD/fpm.pid
error_log = $PWD/logs/fpm.log
[www]
user = www-data
group = www-data
listen = $PWD/fpm.sock
listen.mode = 0666
pm = static
pm.max_children = 2
CONFIG
  $php -y "$PWD/fpm.conf" && handler="ProxyPassMatch \"^/(.*\.php)\$\" \"unix:$PWD/fpm.sock|fcgi://localhost$PWD/html\""
  cat > html/index.php <<'PHP'
<?php
session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1;
file_put_contents(sys_get_temp_dir() . "/noise-cache", json_encode($_SERVER));
echo strlen(file_get_contents(sys_get_temp_dir() . "/noise-cache")), gethostbyname("localhost"), md5("x");
PHP
fi
modules=/usr/lib/apache2/modules
cat > apache.conf <<CONFIG
ServerRoot $PWD
ServerName localhost
PidFile $PWD/apache.pid
Listen 127.0.0.1:18090
User www-data
Group www-data
$(for module in mpm_event authz_core authz_host mime dir alias cgid proxy proxy_fcgi log_config; do [ ! -f $modules/mod_$module.so ] || echo "LoadModule ${module}_module $modules/mod_$module.so"; done)
ErrorLog $PWD/logs/error.log
CustomLog "|/usr/bin/rotatelogs $PWD/logs/access.%Y 86400" "%h %r %>s"
TypesConfig /dev/null
ScriptSock $PWD/cgid.sock
DocumentRoot $PWD/html
DirectoryIndex index.html
ScriptAlias /cgi/ $PWD/cgi/
$handler
CONFIG
apache2 -f "$PWD/apache.conf" -t && apache2 -f "$PWD/apache.conf" -k start || { cat logs/error.log; exit 1; }
wait_for curl -fsS http://127.0.0.1:18090/
for i in 1 2 3 4 5 6 7 8 9 10; do curl -fsS http://127.0.0.1:18090/cgi/date.sh http://127.0.0.1:18090/cgi/id.py >/dev/null || true; done
[ -z "$handler" ] || for i in 1 2 3 4 5 6 7 8 9 10; do curl -fsS http://127.0.0.1:18090/index.php >/dev/null; done
! command -v ab >/dev/null || ab -q -n 5000 -c 10 http://127.0.0.1:18090/ >/dev/null
apache2 -f "$PWD/apache.conf" -k graceful && wait_for curl -fsS http://127.0.0.1:18090/ && apache2 -f "$PWD/apache.conf" -k stop
[ ! -f fpm.pid ] || kill "$(cat fpm.pid)"
! command -v apache2ctl >/dev/null || { a2enmod rewrite && a2ensite 000-default && a2dismod rewrite && apache2ctl -t; } >/dev/null 2>&1 || true
"##,
};
