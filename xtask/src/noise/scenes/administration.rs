//! What an administrator types.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "administration",
    what: "looking around: processes, disks, network, logs, files, settings",
    needs: &["ps"],
    quick: true,
    script: r##"ps aux >/dev/null; ps -ef --forest >/dev/null 2>&1 || true; command -v top >/dev/null && top -b -n 1 >/dev/null || true
df -h; free -m 2>/dev/null || true; uptime; who; w >/dev/null 2>&1 || true; id; uname -a; hostname; date; env >/dev/null
command -v ss >/dev/null && ss -tlnp >/dev/null; command -v ip >/dev/null && ip address >/dev/null && ip route >/dev/null || true
command -v lsof >/dev/null && lsof -p $$ >/dev/null 2>&1 || true; command -v lsblk >/dev/null && lsblk >/dev/null || true
mount >/dev/null; cat /proc/meminfo /proc/cpuinfo /proc/mounts >/dev/null; cat /proc/1/status /proc/self/maps >/dev/null
sysctl -a >/dev/null 2>&1 || true; dmesg 2>/dev/null | tail -n 2 || true; blkid >/dev/null 2>&1 || true
find /etc -name '*.conf' | head -n 20 >/dev/null; grep -rs nameserver /etc/resolv.conf; ls -la /root >/dev/null; du -sh /usr/share/doc >/dev/null
sort /etc/passwd | awk -F: '{ print $1 }' | head -n 3; wc -l /etc/services 2>/dev/null || true; stat /etc/hosts >/dev/null; file /bin/ls 2>/dev/null || true
cp /etc/hosts hosts && sed -i 's/localhost/localhost noise/' hosts && diff /etc/hosts hosts || true
mktemp -d /tmp/noise.XXXXXX && echo 'echo hello' > /tmp/noise-script && sh /tmp/noise-script && rm /tmp/noise-script
curl -sS -m 2 http://127.0.0.1:9/ 2>/dev/null || true; getent hosts localhost; bash -lc 'echo login shell' >/dev/null
perl -e 'print "perl\n"' 2>/dev/null || true; echo cGxhaW4= | base64 -d; openssl version 2>/dev/null || true
chmod 600 hosts; chown root:root hosts; ln -s hosts link; touch -d yesterday hosts; rm link hosts
"##,
};
