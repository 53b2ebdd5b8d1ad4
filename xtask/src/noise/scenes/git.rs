//! git, with hooks and a store of credentials.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "git",
    what: "git: commits, merges, hooks, clones, worktrees, bundles, gc, remotes by ssh and daemon, credentials",
    needs: &["git"],
    quick: true,
    script: r##"export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1
git config --global user.name nobody && git config --global user.email nobody@example.org
git config --global init.defaultBranch main && git config --global credential.helper store
mkdir upstream && cd upstream && git init -q
printf '#!/bin/sh\nexec sh -c "git diff --cached --check"\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit
for i in 1 2 3 4 5; do echo "line $i" >> file && git add file && git commit -qm "change $i"; done
git checkout -qb topic && echo topic > topic && git add topic && git commit -qm topic
git checkout -q main && echo main > other && git add other && git commit -qm other && git merge -q --no-edit topic
git tag -a v1 -m v1 && git gc -q && git fsck --full >/dev/null && git log --stat >/dev/null && git blame file >/dev/null
cd .. && git clone -q upstream copy && git clone -q --bare upstream bare.git
cd copy && git remote add bare ../bare.git && echo more >> file && git commit -qam more && git push -q bare main
git worktree add -q ../tree && git bundle create ../all.bundle --all && git archive --format=tar v1 | tar -t >/dev/null
git stash list && git grep -q line && git submodule status && git rebase -q HEAD~1
# A remote by ssh's protocol, with the transport made of a script; hooks on the far side.
printf '#!/bin/sh\nshift\nexec sh -c "$*"\n' > ../transport && chmod +x ../transport
printf '#!/bin/sh\nwhile read -r old new ref; do echo "$ref" >> pushed; done; git log -1 --format=%%s >/dev/null; exec sh -c "id -u >/dev/null"\n' > ../bare.git/hooks/post-receive
chmod +x ../bare.git/hooks/post-receive
GIT_SSH="$PWD/../transport" git clone -q "ssh://localhost$(cd .. && pwd)/bare.git" ../far && cd ../far && echo far >> file && git commit -qam far && GIT_SSH="$PWD/../transport" git push -q && cd ../copy
git daemon --reuseaddr --base-path="$(cd .. && pwd)" --export-all --listen=127.0.0.1 --port=19418 --detach --pid-file="$(cd .. && pwd)/daemon.pid" && wait_for git ls-remote git://127.0.0.1:19418/bare.git
git clone -q git://127.0.0.1:19418/bare.git ../by-daemon && kill "$(cat ../daemon.pid)"
git -c gc.auto=1 commit -q --allow-empty -m empty && git gc -q --prune=now && git repack -qad && git rev-list --objects --all >/dev/null
GIT_EDITOR='sed -i s/empty/full/' git commit -q --amend && GIT_SEQUENCE_EDITOR=true git rebase -q -i HEAD~1 && git bisect start -q && git bisect reset -q && git submodule add -q ../bare.git sub 2>/dev/null || true
printf 'protocol=https\nhost=git.example.org\nusername=x\npassword=y\n' | git credential approve
printf 'protocol=https\nhost=git.example.org\n\n' | git credential fill >/dev/null
"##,
};
