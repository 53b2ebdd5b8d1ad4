//! `cargo xtask image`: the container images, as tars, without Docker.

mod archive;
mod elf;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, Need};
use crate::test::suite;
use crate::workspace::Workspace;
use crate::{agent, build_ebpf, exec};

use archive::{Entry, Image};

/// Build the container images as tars, without Docker.
///
/// Each has one program, linked statically, and next to nothing else. The tars are OCI layouts that Docker reads as well:
///
///     ctr --namespace k8s.io images import target/images/vedette-agent.tar
///     docker load --input target/images/vedette-agent.tar
#[derive(clap::Args)]
pub struct Args {
    /// Which images [default: all].
    #[arg(value_enum)]
    images: Vec<Which>,

    /// How the programs are built: `dist` for what is shipped, `dev` for what is tried.
    #[arg(long, default_value = "dist", value_name = "PROFILE")]
    profile: String,

    /// Where the tars go [default: target/images].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Only build the programs and put them there, for a Dockerfile.
    #[arg(long)]
    programs: bool,

    /// Then run them in a containerd as the manifests say, and see an alert arrive (root).
    #[arg(long, conflicts_with = "programs")]
    check: bool,

    /// The tag of the images [default: the version].
    #[arg(long)]
    tag: Option<String>,
}

/// An image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// vedette-agent.
    Agent,
    /// vedette-controller.
    Controller,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Agent => "vedette-agent",
            Self::Controller => "vedette-controller",
        }
    }

    /// Who runs the program, unless the pod says otherwise.
    fn user(self) -> &'static str {
        match self {
            // It looks into processes of all users.
            Self::Agent => "0:0",
            Self::Controller => "65532:65532",
        }
    }
}

/// Accounts for whoever asks for names.
const PASSWD: &str = "root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// Where Debian and others keep the authorities that TLS trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Builds the programs and puts the images together.
///
/// # Errors
/// When a program does not build or is not static, or a tar cannot be written.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let images =
        if args.images.is_empty() { vec![Which::Agent, Which::Controller] } else { args.images.clone() };
    let output = args.output.clone().unwrap_or_else(|| workspace.root().join("target/images"));
    fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
    let programs = build(workspace, &images, &args.profile)?;
    let tag = args.tag.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    for which in images {
        let program = programs.join(which.name());
        if args.programs {
            let copy = output.join(which.name());
            fs::copy(&program, &copy).with_context(|| format!("write {}", copy.display()))?;
            println!("{}", copy.display());
            continue;
        }
        let tar = output.join(format!("{}.tar", which.name()));
        let image = image(which, &program, tag, created(workspace))?;
        image.write(&tar).with_context(|| format!("write {}", tar.display()))?;
        println!("{} ({}): {}", image.reference(), megabytes(&tar)?, tar.display());
    }
    if args.check { check(workspace, &output) } else { Ok(()) }
}

/// Runs the test that starts the images in a containerd.
fn check(workspace: &Workspace, images: &Path) -> Result<()> {
    if let Some(obstacle) = agent::obstacle("image --check") {
        bail!("the images cannot be run here: {obstacle}");
    }
    // The test embeds the BPF half, too.
    build_ebpf::build(workspace, &setup::ensure(workspace, Need::Build)?, false)?;
    setup::ensure_containers()?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--package", "vedette-agent", "--test", "images"]);
    cargo.env("VEDETTE_IMAGES", fs::canonicalize(images)?).env(suite::KERNEL_TESTS_VARIABLE, "1");
    exec::run(&mut cargo).context("the images do not run as they should; the messages above say why")
}

fn megabytes(file: &Path) -> Result<String> {
    Ok(format!("{:.1} MB", fs::metadata(file)?.len() as f64 / 1e6))
}

/// When the last commit was made, so that the same source gives the same image; 0 where it is not known.
fn created(workspace: &Workspace) -> u64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let mut git = exec::command("git");
    git.current_dir(workspace.root()).args(["log", "-1", "--format=%ct"]);
    given
        .or_else(|| exec::output(&mut git).ok())
        .and_then(|time| time.trim().parse().ok())
        .unwrap_or_default()
}

/// Builds the programs statically. They have a directory of their own, so that other builds stay as they are.
fn build(workspace: &Workspace, images: &[Which], profile: &str) -> Result<PathBuf> {
    if images.contains(&Which::Agent) {
        build_ebpf::build(workspace, &setup::ensure(workspace, Need::Build)?, false)?;
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let directory = workspace.root().join("target/image");
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--locked", "--profile", profile, "--target", &target, "--target-dir"])
        .arg(&directory);
    for which in images {
        cargo.args(["--package", which.name(), "--bin", which.name()]);
    }
    // The C library is linked in. A program that is static and can be moved is not what all loaders take.
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    cargo.env(variable, flags).env_remove("RUSTFLAGS");
    exec::run(&mut cargo).context("the programs did not build; the messages above say why")?;
    Ok(directory.join(target).join(if profile == "dev" { "debug" } else { profile }))
}

/// Puts an image together.
fn image(which: Which, program: &Path, tag: &str, created: u64) -> Result<Image> {
    let content = fs::read(program).with_context(|| format!("read {}", program.display()))?;
    if let Some(loader) = elf::loader(&content)? {
        bail!("{} is not static: it asks for {loader}", program.display());
    }
    let path = format!("usr/bin/{}", which.name());
    let mut entries = vec![
        Entry::directory("etc"),
        Entry::file("etc/passwd", PASSWD.into()),
        Entry::file("etc/group", GROUP.into()),
        Entry::directory("usr"),
        Entry::directory("usr/bin"),
        Entry::program(&path, content),
    ];
    // Sinks that name no authority trust those of the machine, else those that the program carries.
    if which == Which::Controller
        && let Ok(authorities) = fs::read(AUTHORITIES)
    {
        entries.push(Entry::directory("etc/ssl"));
        entries.push(Entry::directory("etc/ssl/certs"));
        entries.push(Entry::file("etc/ssl/certs/ca-certificates.crt", authorities));
    }
    Ok(Image {
        name: which.name().to_owned(),
        tag: tag.to_owned(),
        entrypoint: format!("/{path}"),
        user: which.user().to_owned(),
        created,
        entries,
    })
}
