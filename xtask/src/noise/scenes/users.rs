//! Accounts by their own tools.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "users",
    what: "users: added, changed, given passwords and groups, looked up, switched to, removed",
    needs: &["useradd", "usermod", "userdel", "groupadd", "chpasswd"],
    quick: true,
    script: r##"groupadd noise-staff && useradd -m -s /bin/bash -G noise-staff noise-ada
echo 'noise-ada:correct horse battery' | chpasswd && passwd -S noise-ada && chage -M 90 noise-ada && chage -l noise-ada
usermod -aG users noise-ada && usermod -c 'Ada' -s /bin/sh noise-ada && gpasswd -d noise-ada noise-staff
id noise-ada && getent passwd noise-ada && groups noise-ada
command -v adduser >/dev/null && adduser --system --group --no-create-home noise-daemon >/dev/null || true
passwd -l noise-ada && passwd -u noise-ada && pwck -r >/dev/null 2>&1 || true; grpck -r >/dev/null 2>&1 || true
su -s /bin/sh noise-ada -c 'id; echo "export EDITOR=vi" > note; ls -la ~ >/dev/null'
command -v runuser >/dev/null && runuser -u noise-ada -- id
command -v visudo >/dev/null && visudo -c >/dev/null || true
command -v sudo >/dev/null && sudo -u noise-ada id || true
on_terminal "su - noise-ada -c 'whoami; ls -la; id'" >/dev/null 2>&1 || true
printf 'correct horse battery\nnew horse battery\nnew horse battery\n' | su -s /bin/sh noise-ada -c passwd >/dev/null 2>&1 || true
usermod -L noise-ada && usermod -U noise-ada && chage -d 0 noise-ada && chage -E -1 noise-ada && chfn -r 1 noise-ada 2>/dev/null || true
install -d -m 700 -o noise-ada /home/noise-ada/.ssh && getent shadow noise-ada >/dev/null && newgrp users < /dev/null >/dev/null 2>&1 || true
printf 'noise-eve:pass:::Eve:/home/noise-eve:/bin/bash\n' | newusers && on_terminal 'userdel -r noise-eve' >/dev/null 2>&1 || true
command -v adduser >/dev/null && on_terminal "adduser --disabled-password --gecos '' noise-bob && adduser noise-bob users && deluser --remove-home noise-bob" >/dev/null 2>&1 || true
command -v deluser >/dev/null && deluser --system noise-daemon >/dev/null 2>&1 || true
userdel -r noise-ada 2>/dev/null && groupdel noise-staff
"##,
};
