//! Real containers, and what the agent says about them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/act.rs"]
mod act;
#[path = "../support/container.rs"]
mod container;
#[path = "../support/wait.rs"]
mod wait;
fn main() {
    if act::requested().is_some() {
        return;
    }
    use container::*;
    use std::sync::Arc;
    let image = Arc::new(Image::with_helper());
    image.link_helper("/opt/nginx");
    let runc: Arc<dyn Runtime> = Arc::new(Runc::new(image.clone()));
    let t = std::time::Instant::now();
    let containerd: Arc<dyn Runtime> = Containerd::start(&image);
    eprintln!("containerd {:?}", t.elapsed());
    for r in [&runc, &containerd] {
        let t = std::time::Instant::now();
        let c = Container::run(r, Options::default());
        eprintln!("start {:?}", t.elapsed());
        let out = c.exec(["sh", "-c", "id; cat /proc/self/stat; cat /proc/self/cgroup | tail -1; /opt/nginx --act connect-own 127.0.0.1:443; ls /proc/self/fd"]);
        eprintln!("{}", String::from_utf8_lossy(&out.stdout));
        let out = c.try_exec(
            &Exec::new(["sh", "-c", "tty; id; pwd; cat /proc/$$/stat"]).terminal().user(1000).cwd("/tmp"),
        );
        eprintln!("{} {}", out.status, String::from_utf8_lossy(&out.stdout));
        eprintln!("{} {} {}", c.pid(), c.id(), c.cgroup());
        let t = std::time::Instant::now();
        drop(c);
        eprintln!("end {:?}", t.elapsed());
    }
}
