//! The scenes: everyday work, as scripts that run in the sandbox with `sh -eu`, each in a directory of its own.

mod administration;
mod apache;
mod backup;
mod build_c;
mod build_rust;
mod configuration;
mod containers;
mod cron;
mod database;
mod downloads;
mod git;
mod install;
mod logs;
mod monitoring;
mod node;
mod packages;
mod python;
mod scripting;
mod services;
mod sessions;
mod ssh;
mod upgrades;
mod users;
mod web;

/// A piece of everyday work.
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Programs without which it is left out.
    pub needs: &'static [&'static str],
    /// Whether it takes a few seconds at most.
    pub quick: bool,
    /// What is done. `exit 77` leaves it out, with the last line as the reason.
    pub script: &'static str,
}

/// Debian packages that scenes use, installed in the sandbox: scenes, too.
pub const INSTALL: &[Scene] = &[install::SCENE, upgrades::SCENE];

/// All, in the order in which they are played.
pub const SCENES: &[Scene] = &[
    build_c::SCENE,
    build_rust::SCENE,
    packages::SCENE,
    git::SCENE,
    python::SCENE,
    scripting::SCENE,
    node::SCENE,
    downloads::SCENE,
    cron::SCENE,
    logs::SCENE,
    ssh::SCENE,
    web::SCENE,
    apache::SCENE,
    database::SCENE,
    backup::SCENE,
    users::SCENE,
    containers::SCENE,
    services::SCENE,
    administration::SCENE,
    sessions::SCENE,
    monitoring::SCENE,
    configuration::SCENE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_is_a_script() {
        for scene in SCENES.iter().chain(INSTALL) {
            assert!(scene.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", scene.name);
            assert!(!scene.what.is_empty() && !scene.needs.is_empty(), "{}", scene.name);
            let script = format!("set -n\n{}", scene.script);
            let checked = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
            assert!(checked.success(), "{} is no script", scene.name);
        }
        assert!(SCENES.iter().filter(|scene| scene.quick).count() > 3);
    }
}
