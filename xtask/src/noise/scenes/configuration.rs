//! Settings changed by people, and by what does it for them.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "configuration",
    what: "an administrator at a terminal: files of /etc in editors, visudo, crontab -e, systemctl; Ansible",
    needs: &["script", "sed"],
    quick: false,
    script: r##"export TERM=xterm HOME=/root
cp /etc/hosts hosts.before
vi=$(command -v vim.tiny || command -v vim || true)
[ -z "$vi" ] || for file in /etc/hosts /etc/motd /etc/sysctl.d/90-noise.conf /etc/profile.d/noise.sh /etc/cron.d/noise /etc/sudoers.d/noise /root/.bashrc; do
  on_terminal "$vi -u NONE -c 'normal o# noise' -c wq $file" >/dev/null || true
done
! command -v nano >/dev/null || { (sleep 0.5; printf '# nano\r\017\r'; sleep 0.3; printf '\030') | on_terminal 'nano -I /etc/issue.net' >/dev/null; } || true
on_terminal 'sed -i "s/^#*PrintMotd.*/PrintMotd no/" /etc/ssh/sshd_config; sed -i "s/localhost/localhost noise/" /etc/hosts; echo 10.0.0.9 other >> /etc/hosts; cp hosts.before /etc/hosts' >/dev/null 2>&1 || true
on_terminal 'echo "net.ipv4.ip_forward = 0" > /etc/sysctl.d/91-noise.conf; sysctl -p /etc/sysctl.d/91-noise.conf; echo 022 >/dev/null; timedatectl; hostnamectl; ln -sf /usr/share/zoneinfo/UTC /etc/localtime' >/dev/null 2>&1 || true
! command -v visudo >/dev/null || [ -z "$vi" ] || EDITOR="$vi -u NONE -c wq" on_terminal visudo >/dev/null || true
! command -v crontab >/dev/null || [ -z "$vi" ] || { VISUAL="$vi -u NONE -c 'normal o# noise' -c wq" on_terminal 'crontab -e' >/dev/null; crontab -r; } || true
on_terminal 'systemctl enable cron; systemctl mask apt-daily.timer; systemctl unmask apt-daily.timer; systemctl daemon-reload; systemctl restart cron; journalctl -n 3; service cron status' >/dev/null 2>&1 || true
[ -z "$vi" ] || SYSTEMD_EDITOR="$vi -u NONE -c 'normal o# noise' -c wq" on_terminal 'systemctl edit --full cron' >/dev/null 2>&1 || true
! command -v vipw >/dev/null || [ -z "$vi" ] || EDITOR="$vi -u NONE -c wq" on_terminal vipw >/dev/null || true
if command -v ansible-playbook >/dev/null; then
  cat > play.yml <<'PLAY'
- hosts: localhost
  connection: local
  gather_facts: true
  tasks:
    - {name: a user, user: {name: noise-ansible, system: true, shell: /usr/sbin/nologin}}
    - {name: a directory, file: {path: /etc/noise.d, state: directory, mode: "0755"}}
    - {name: a setting, copy: {dest: /etc/noise.d/noise.conf, content: "x = 1\n"}}
    - {name: a line, lineinfile: {path: /etc/hosts, line: "10.0.0.8 noise-ansible"}}
    - {name: a job, cron: {name: noise, minute: "5", job: /bin/true, cron_file: noise-ansible, user: root}}
    - {name: a unit, copy: {dest: /etc/systemd/system/noise-ansible.service, content: "[Service]\nExecStart=/bin/true\n"}}
    - {name: a right, copy: {dest: /etc/sudoers.d/noise-ansible, content: "noise-ansible ALL=(root) NOPASSWD: /bin/true\n", mode: "0440", validate: "/usr/sbin/visudo -cf %s"}}
    - {name: a key, authorized_key: {user: root, key: "{{ lookup('file', '/root/.ssh/noise.pub') }}"}, ignore_errors: true}
    - {name: a command, shell: "uname -a && id"}
    - {name: an environment, lineinfile: {path: /etc/environment, line: "NOISE=1", create: true}}
    - {name: no user, user: {name: noise-ansible, state: absent}}
PLAY
  mkdir -p -m 700 /root/.ssh && echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Z0000000000000000000000000000000000000000 noise' > /root/.ssh/noise.pub
  ansible-playbook -i localhost, play.yml || true
  ansible -i localhost, -c local all -m ping && ansible -i localhost, -c local all -m shell -a 'date' || true
fi
if command -v etckeeper >/dev/null; then (cd /etc && git config --global user.email x@example.org && git config --global user.name x; etckeeper init && etckeeper commit noise; etckeeper vcs log --oneline) >/dev/null 2>&1 || true; fi
"##,
};
