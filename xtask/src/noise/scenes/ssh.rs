//! Keys and logins.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "ssh",
    what: "ssh: keys, agent, a server on loopback, logins, scp, sftp, known hosts",
    needs: &["ssh-keygen"],
    quick: false,
    script: r##"mkdir -p -m 700 /root/.ssh
rm -f /root/.ssh/id_ed25519 && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
ssh-keygen -lf /root/.ssh/id_ed25519.pub && ssh-keygen -y -f /root/.ssh/id_ed25519 >/dev/null
command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || { echo "there is no sshd"; exit 77; }
ssh-keygen -A && mkdir -p /run/sshd
cat > sshd_config <<CONFIG
Port 22922
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile $PWD/sshd.pid
UsePAM yes
StrictModes no
PermitRootLogin yes
Subsystem sftp internal-sftp
CONFIG
/usr/sbin/sshd -f "$PWD/sshd_config" -E sshd.log
wait_for test -s sshd.pid
eval "$(ssh-agent -s)" >/dev/null && ssh-add -q /root/.ssh/id_ed25519
ssh-keyscan -p 22922 127.0.0.1 >> /root/.ssh/known_hosts 2>/dev/null
# By ssh-copy-id's own means, before a key may log in: as an administrator does in an editor.
cat /root/.ssh/id_ed25519.pub > keys && install -m 600 keys /var/lib/noise/ssh/authorized
sed -i 's|^StrictModes no|StrictModes no\nAuthorizedKeysFile /var/lib/noise/ssh/authorized|' sshd_config && kill -HUP "$(cat sshd.pid)"
options="-o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=accept-new"
wait_for ssh -p 22922 $options root@127.0.0.1 true
for i in 1 2 3; do ssh -p 22922 $options root@127.0.0.1 'id; uname -a; ls /etc >/dev/null'; done
echo data > file && scp -q -P 22922 $options file root@127.0.0.1:/tmp/file
printf 'ls /tmp\nget /tmp/file back\n' | sftp -q -P 22922 $options -b - root@127.0.0.1
command -v rsync >/dev/null && rsync -a -e "ssh -p 22922 $options" /usr/share/doc/bash root@127.0.0.1:/tmp/ || true
kill "$(cat sshd.pid)"; ssh-add -q -D; ssh-agent -k >/dev/null
rm -f /root/.ssh/id_ed25519 /root/.ssh/id_ed25519.pub
"##,
};
