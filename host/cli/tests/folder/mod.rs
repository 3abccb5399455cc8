//! A folder that `sinew` runs in.

use std::path::Path;
use std::process::Command;

/// What `test/misbehave` needs to be loaded, as the last table of a grants file: more can be written behind it.
#[allow(dead_code, reason = "not every test has it")]
pub(crate) const MISBEHAVE_GRANTS: &str = r#"
[plugins."test/misbehave"]
interfaces = [
    "clock", "events", "files", "gripper", "lifecycle", "log", "memory", "motion", "operator", "policy", "world",
]
policies = ["grasp"]
"#;

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// With these files in it: names and contents.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder can be made"));
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).expect("there is room");
    }

    /// Runs `sinew`, which must end with this code. What it printed, errors last.
    #[track_caller]
    pub(crate) fn gives(&self, code: i32, arguments: &[&str]) -> String {
        let (given, text) = self.output(arguments);
        assert_eq!(given, Some(code), "{arguments:?}: {text}");
        text
    }

    /// Runs `sinew`: its exit code, and what it printed, errors last.
    pub(crate) fn output(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (code, text, errors) = self.printed(arguments);
        (code, text + &errors)
    }

    /// Exit code, output, errors.
    fn printed(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .current_dir(self.path())
            .args(arguments)
            .output()
            .expect("the binary was built for this test");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code();
        (code, text(output.stdout), text(output.stderr))
    }

    /// The same with `--json`: that is all that it prints.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let text = self.gives(code, &[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("nothing but JSON")
    }

    /// The same where it has something to say beside it, which is no part of its output.
    #[allow(dead_code, reason = "not every test has such a run")]
    #[track_caller]
    pub(crate) fn json_beside_words(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let (given, text, errors) = self.printed(&[arguments, &["--json"]].concat());
        assert_eq!(given, Some(code), "{arguments:?}: {errors}");
        serde_json::from_str(&text).expect("nothing but JSON")
    }
}
