//! The README is followed to the letter: every command of "Do it by hand" is run as it stands there,
//! against the real program, and its answers are what the text says they are.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_deputy");

/// The `sh` blocks below a heading, as they stand.
fn blocks(heading: &str) -> Vec<String> {
    let text = fs::read_to_string(README).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut parts = section.split("\n```");
    let mut blocks = Vec::new();
    parts.next();
    while let Some(block) = parts.next() {
        if let Some(script) = block.strip_prefix("sh\n") {
            blocks.push(script.to_owned());
        }
        parts.next();
    }
    blocks
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(dir: &Path, address: &str) -> Server {
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", address, "--log-level", "warn"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).any(|line| line.starts_with("admin token"));
    assert!(ready, "the server says where its admin token is");
    Server(child)
}

fn folder() -> PathBuf {
    let parent = std::env::temp_dir().join(format!("deputy-readme-{}", std::process::id()));
    let dir = parent.join("try");
    fs::create_dir_all(&dir).unwrap();
    // The README runs `../examples/issuer.sh` from the folder `try`.
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    std::os::unix::fs::symlink(examples, parent.join("examples")).unwrap();
    dir
}

#[test]
fn the_readme_can_be_followed_by_hand() {
    let dir = folder();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let _server = serve(&dir, &address);
    let mut scripts = blocks("Do it by hand").into_iter();
    assert!(scripts.next().unwrap().contains("deputy serve"), "the first block starts the server");
    let script: String = scripts.collect::<Vec<_>>().join("\n");
    let script = format!("set -eu\n{}", script.replace("127.0.0.1:8420", &address));
    let bin = Path::new(PROGRAM).parent().unwrap().display();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&dir)
        .env("PATH", path)
        .env("DEPUTY_URL", format!("http://{address}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let trouble = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}\n{trouble}");
    let answers: Vec<&str> = said.lines().filter(|l| l.starts_with("{\"active\"")).collect();
    assert_eq!(answers.len(), 4, "{said}");
    assert!(answers[0].contains("\"allow\":true"), "{said}");
    assert!(answers[1].contains("argument_not_permitted"), "{said}");
    assert!(answers[2].contains("tool_not_delegated"), "{said}");
    assert_eq!(answers[3], "{\"active\":false}");
    let refused = said.lines().filter(|l| l.starts_with("{\"error\":\"invalid_request\""));
    assert_eq!(refused.count(), 1, "the exchange is refused: {said}");
    assert!(said.contains("alice ← helper"), "{said}");
    assert!(said.contains("the audit log is whole"), "{said}");
    fs::remove_dir_all(dir.parent().unwrap()).unwrap();
}
