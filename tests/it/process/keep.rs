//! `deputy demo --keep`: everything stays up, and what it prints to be pasted does what it says.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::serve_process::{Folder, deputy};

/// The demo, which is killed when dropped.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn what_the_kept_demo_prints_can_be_pasted() {
    let folder = Folder::new();
    let mut demo = deputy(&folder.0, &["demo", "--keep"]);
    let mut demo = Kept(demo.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C ends it.")).collect();
    let begin = said.iter().position(|line| line.contains("Paste these")).unwrap();
    let script = said[begin + 1..].join("\n");
    let ran = Command::new("bash").args(["-euc", &script]).output().unwrap();
    let answers = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{answers}{}", String::from_utf8_lossy(&ran.stderr));
    let answers: Vec<&str> = answers.lines().filter(|line| !line.is_empty()).collect();
    let expected = [
        "\"access_token\":",
        "",
        "\"allow\":true",
        "\"argument_not_permitted\"",
        "\"revision\":",
        "{\"active\":false}",
        "\"kind\":\"revocation\"",
    ];
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
    for (answer, expected) in answers.iter().zip(expected) {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    let pid = Pid::from_raw(i32::try_from(demo.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert!(demo.0.wait().unwrap().success(), "Ctrl-C ends it well");
}
