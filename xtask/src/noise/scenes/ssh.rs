//! Keys and logins.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "ssh",
    what: "ssh: keys, agent, a server on loopback, logins, forwarding, ssh-copy-id, scp, sftp, rsync",
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
# A key that is let in already; ssh-copy-id adds a second one through it.
cat /root/.ssh/id_ed25519.pub > keys && install -m 600 keys /var/lib/noise/ssh/authorized
sed -i 's|^StrictModes no|StrictModes no\nAuthorizedKeysFile /var/lib/noise/ssh/authorized .ssh/authorized_keys|' sshd_config && kill -HUP "$(cat sshd.pid)"
options="-o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=accept-new"
wait_for ssh -p 22922 $options root@127.0.0.1 true
for i in 1 2 3; do ssh -p 22922 $options root@127.0.0.1 'id; uname -a; ls /etc >/dev/null'; done
echo data > file && scp -q -P 22922 $options file root@127.0.0.1:/tmp/file
printf 'ls /tmp\nget /tmp/file back\n' | sftp -q -P 22922 $options -b - root@127.0.0.1
ssh -p 22922 $options -A root@127.0.0.1 'ssh-add -l; tty || true; env >/dev/null' || true
on_terminal "ssh -t -p 22922 $options root@127.0.0.1 'ls /; sleep 0.1; exit'" >/dev/null || true
ssh -f -N -M -S "$PWD/control" -p 22922 $options -L 127.0.0.1:22923:127.0.0.1:22922 root@127.0.0.1 && ssh -S "$PWD/control" -p 22922 root@127.0.0.1 id && ssh -S "$PWD/control" -O exit root@127.0.0.1 || true
ssh-keygen -q -t ed25519 -N '' -C second -f second && { ssh-copy-id -i second.pub -p 22922 $options root@127.0.0.1 && ssh -p 22922 $options -i second root@127.0.0.1 true; } || true
tar -cf - file | ssh -p 22922 $options root@127.0.0.1 'tar -tf - && cat /etc/hostname' || true
printf 'Host noise\n  HostName 127.0.0.1\n  Port 22922\n  User root\n' > /root/.ssh/config && ssh $options noise 'cat ~/.profile >/dev/null 2>&1; who; last -n 1' >/dev/null 2>&1 || true
command -v rsync >/dev/null && rsync -a -e "ssh -p 22922 $options" /usr/share/doc/bash root@127.0.0.1:/tmp/ || true
kill "$(cat sshd.pid)"; ssh-add -q -D; ssh-agent -k >/dev/null
rm -f /root/.ssh/id_ed25519 /root/.ssh/id_ed25519.pub /root/.ssh/config; ssh-keygen -R '[127.0.0.1]:22922' >/dev/null 2>&1 || true
"##,
};
