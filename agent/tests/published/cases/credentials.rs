//! Rules about looking for keys and passwords.

use std::{fs, process::Command};

use super::{BUSYBOX, Case, in_container, lineage, on_host};
use crate::{container::Exec, deed::Twin};

pub const CASES: &[Case] = &[
    Case {
        rule: "Search Private Keys or Passwords",
        variant: "find",
        attack: |s| {
            let directory = s.stage.directory().display().to_string();
            let pid = s.stage.run(Command::new("find").args([&directory, "-name", "id_rsa"]));
            let command = format!("find {directory} -name id_rsa");
            on_host(pid, "execve", ("find", "/usr/bin/find".as_ref(), &command))
        },
        benign: |s| {
            Twin::Process(
                s.stage.run(Command::new("find").arg(s.stage.directory()).args(["-name", "id_card"])),
            )
        },
    },
    Case {
        rule: "Search Private Keys or Passwords",
        variant: "grep_in_container",
        attack: |s| {
            let container = s.container();
            // It finds none, and says so by its exit code.
            container.try_exec(&Exec::new(["grep", "-r", "begin rsa PRIVATE", "/home"]));
            in_container(container, "execve", BUSYBOX, "grep -r begin rsa PRIVATE /home")
        },
        benign: |s| {
            let container = s.container();
            container.try_exec(&Exec::new(["grep", "-r", "BEGIN CERTIFICATE", "/home"]));
            container.exec(["sh", "-c", "echo BEGIN RSA PRIVATE"]);
            Twin::Container(container)
        },
    },
    Case {
        rule: "Find AWS Credentials",
        variant: "grep",
        attack: |s| {
            let file = s.stage.file("settings");
            fs::write(&file, "AWS_SECRET_ACCESS_KEY=none\n").unwrap();
            let directory = file.parent().unwrap();
            let mut command = Command::new("grep");
            let pid = s.stage.run(command.args(["-ri", "aws_secret_access_key", "."]).current_dir(directory));
            let command = "grep -ri aws_secret_access_key .";
            on_host(pid, "execve", ("grep", "/usr/bin/grep".as_ref(), command))
                .with("proc.cwd", format!("{}/", directory.display()))
                .with("group.gid", 0)
                .with("group.name", "root")
                .with_part("proc.pcmdline", lineage()[0].as_str())
        },
        benign: |s| {
            let file = s.stage.file("settings");
            fs::write(&file, "AWS_REGION=none\n").unwrap();
            Twin::Process(s.stage.run(Command::new("grep").args(["-i", "aws_region"]).arg(file)))
        },
    },
    Case {
        rule: "Find AWS Credentials",
        variant: "find_in_container",
        attack: |s| {
            let container = s.container();
            let args = ["find", "/home", "-path", "*/.aws/credentials"];
            container.exec_with(&Exec::new(args).user(1000).cwd("/tmp"));
            in_container(container, "execve", BUSYBOX, &args.join(" "))
                .by_user("cook", 1000)
                .with("proc.cwd", "/tmp/")
                .with("group.gid", 1000)
                .with("group.name", "galley")
        },
        benign: |s| {
            let container = s.container();
            container.exec(["find", "/home", "-path", "*/.aws/credentials", "-prune"]);
            Twin::Container(container)
        },
    },
];
