//! git, with hooks and a store of credentials.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "git",
    what: "git: repositories, commits, branches, merges, hooks, clones, worktrees, bundles",
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
printf 'protocol=https\nhost=git.example.org\nusername=x\npassword=y\n' | git credential approve
printf 'protocol=https\nhost=git.example.org\n\n' | git credential fill >/dev/null
"##,
};
