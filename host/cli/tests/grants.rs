//! What plugins may touch, from the command line.

mod folder;

use folder::Folder;

const MISBEHAVE: (&str, &[u8]) = ("misbehave.wasm", sinew_skill_artifacts::MISBEHAVE);

fn write_grants(folder: &Folder, text: &str) {
    folder.write("grants.toml", text.as_bytes());
}

#[test]
fn what_is_asked_for_and_granted_is_shown() {
    let folder = Folder::with(&[MISBEHAVE]);
    let all = folder.json(0, &["grants", "show"]);
    let names: Vec<&str> = (all["plugins"].as_array().expect("a list").iter())
        .filter_map(|plugin| plugin["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "sinew/go-home",
            "sinew/kit-parts",
            "sinew/regrasp",
            "sinew/search-missing"
        ]
    );
    let kit = &all["plugins"][1];
    assert_eq!(kit["missing"], serde_json::Value::Null);
    let asks = kit["asks"].as_array().expect("a list");
    assert!(asks.iter().all(|ask| ask["granted"] == true), "{asks:?}");
    assert!(asks.iter().any(|ask| ask["what"] == "policy grasp"));

    write_grants(
        &folder,
        "[plugins.\"test/misbehave\"]\ninterfaces = [\"motion\"]\nspeed = 0.25\nforce_n = 9.0\nclasses = [\"gear\"]\n\
         [[plugins.\"test/misbehave\".zones_in]]\nname = \"table\"\nmin_m = [0, 0, 0]\nmax_m = [1, 1, 1]\n\
         [plugins.\"test/misbehave\".limits]\nhandles = 4\n",
    );
    let arguments = [
        "grants",
        "show",
        "test/misbehave",
        "--plugin",
        "misbehave.wasm",
        "--grants",
        "grants.toml",
    ];
    let text = folder.gives(0, &arguments);
    for piece in [
        "granted by grants.toml",
        "interface motion         yes            to move",
        "interface world          NO             to look",
        "interface files          no (optional)",
        "directory notes to write no (optional)",
        "speed                    0.25",
        "force_n                  9 N",
        "classes                  gear",
        "zones_in                 table [0.0, 0.0, 0.0] to [1.0, 1.0, 1.0] m",
        "limits                   handles 4",
        "it would not be loaded: `test/misbehave`",
        "[plugins.\"test/misbehave\"]",
    ] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    let without_file = &arguments[..5];
    let ungranted = folder.json(0, without_file);
    assert_eq!(ungranted["plugins"][0]["granted_by"], "nobody");
}

#[test]
fn what_should_be_narrower_is_found() {
    let folder = Folder::with(&[MISBEHAVE]);
    // What comes with the plugins is wide, and nothing of it is dangerous.
    let builtin = folder.json(0, &["grants", "audit"]);
    assert_eq!(builtin["ok"], true);
    let is_wild = |found: &serde_json::Value| found["kind"] == "wildcard";
    assert!(
        builtin["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .all(is_wild)
    );

    std::fs::create_dir(folder.path().join("notes")).expect("made");
    write_grants(
        &folder,
        "[plugins.\"test/misbehave\"]\n\
         interfaces = [\"clock\", \"events\", \"files\", \"gripper\", \"lifecycle\", \"log\", \"memory\", \"motion\", \
         \"operator\", \"policy\", \"world\"]\n\
         [[plugins.\"test/misbehave\".directories]]\nname = \"secrets\"\npath = \"/etc\"\n\
         [[plugins.\"test/misbehave\".directories]]\nname = \"notes\"\npath = \".\"\nwrite = true\n\
         [[plugins.\"test/misbehave\".directories]]\nname = \"more\"\npath = \"nowhere\"\n\
         [plugins.\"sinew/go-home\"]\ninterfaces = [\"motion\", \"events\", \"clock\", \"files\"]\n\
         [[plugins.\"sinew/go-home\".directories]]\nname = \"theirs\"\npath = \"notes\"\n\
         [plugins.\"lab/gone\"]\ninterfaces = [\"motion\"]\n",
    );
    let arguments = [
        "grants",
        "audit",
        "--plugin",
        "misbehave.wasm",
        "--grants",
        "grants.toml",
    ];
    let text = folder.gives(1, &arguments);
    for piece in [
        "DANGEROUS test/misbehave directories: `secrets` is /etc, the system's own",
        "DANGEROUS test/misbehave directories: `notes` is ., where this grants file lies",
        "DANGEROUS test/misbehave directories: `notes` is shared with `theirs` of sinew/go-home",
        "wildcard  test/misbehave zones_in:",
        "wildcard  test/misbehave classes:",
        "wildcard  test/misbehave policies:",
        "wildcard  test/misbehave contact_n:",
        "wildcard  test/misbehave force_n:",
        "unused    test/misbehave directories: it does not ask for `more`",
        "`more` is nowhere, which is no folder",
        "unused    sinew/go-home interfaces: it does not import `files`",
        "unused    lab/gone plugins: no such plugin is loaded",
    ] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    assert_eq!(folder.json(1, &arguments)["ok"], false);
}

#[test]
fn bad_input_says_what_and_where() {
    let folder = Folder::with(&[MISBEHAVE]);
    write_grants(&folder, "[plugins.\"a/b\"]\ninterfaces = [\"lasers\"]\n");
    let said = folder.gives(2, &["grants", "show", "--grants", "grants.toml"]);
    assert!(
        said.contains("grants.toml") && said.contains("no interface `lasers`"),
        "{said}"
    );
    let said = folder.gives(2, &["grants", "audit", "--grants", "nowhere.toml"]);
    assert!(said.contains("nowhere.toml"), "{said}");
    let said = folder.gives(2, &["grants", "show", "lab/none"]);
    assert!(
        said.contains("no plugin `lab/none`") && said.contains("sinew/kit-parts"),
        "{said}"
    );
    folder.write("bad.wasm", b"not wasm");
    let said = folder.gives(2, &["grants", "audit", "--plugin", "bad.wasm"]);
    assert!(said.contains("bad.wasm"), "{said}");
}

#[test]
fn what_has_all_that_it_needs_is_told_as_that_without_a_file() {
    let folder = Folder::with(&[]);
    let add = ["grants", "add", "sinew/go-home", "--grants", "new.toml"];
    let said = folder.gives(0, &add);
    assert!(said.contains("has all that it needs"), "{said}");
    assert!(!folder.path().join("new.toml").exists());
}

#[test]
fn what_a_plugin_lacks_is_added_to_the_operators_file() {
    let folder = Folder::with(&[MISBEHAVE]);
    let add = [
        "grants",
        "add",
        "test/misbehave",
        "--plugin",
        "misbehave.wasm",
        "--grants",
        "mine.toml",
    ];
    let text = folder.gives(0, &[&add[..], &["--speed", "0.5"]].concat());
    assert!(
        text.contains("interface motion: to move") && text.contains("speed 0.5"),
        "{text}"
    );
    let written = std::fs::read_to_string(folder.path().join("mine.toml")).expect("it was made");
    assert!(
        written.contains("[plugins.\"test/misbehave\"]"),
        "{written}"
    );
    // It is enough, and nothing is added twice.
    let shown = folder.gives(
        0,
        &[
            "grants",
            "show",
            "test/misbehave",
            "--plugin",
            "misbehave.wasm",
            "--grants",
            "mine.toml",
        ],
    );
    assert!(!shown.contains("would not be loaded"), "{shown}");
    assert!(folder.gives(0, &add).contains("has all that it needs"));
    // What it could do without, only if that is said.
    assert!(!written.contains("files"), "{written}");
    let optional = [&add[..], &["--optional"]].concat();
    let said = folder.gives(2, &optional);
    assert!(said.contains("--directory secrets=/the/folder"), "{said}");
    let said = folder.gives(
        0,
        &[
            &optional[..],
            &[
                "--directory",
                "notes=/tmp/notes",
                "--directory",
                "secrets=/tmp/secrets",
            ],
        ]
        .concat(),
    );
    assert!(
        said.contains("interface files") && said.contains("directory notes is /tmp/notes"),
        "{said}"
    );
    // What stands there stays, comments and all.
    folder.write(
        "mine.toml",
        b"# ours\n[plugins.\"test/misbehave\"]\ninterfaces = [\"log\"] # first\nspeed = 0.3\n",
    );
    folder.gives(
        0,
        &[&add[..], &["--directory", "notes=/tmp/notes"]].concat(),
    );
    let written = std::fs::read_to_string(folder.path().join("mine.toml")).expect("it is there");
    for kept in [
        "# ours",
        "# first",
        "speed = 0.3",
        "\"log\", ",
        "/tmp/notes",
    ] {
        assert!(written.contains(kept), "{kept}: {written}");
    }
    // It is the file that is written, wherever it lies, and nobody else may read it all of a sudden.
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let real = folder.path().join("real.toml");
    std::fs::write(&real, "# real\n").expect("there is room");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    std::fs::remove_file(folder.path().join("mine.toml")).expect("it is there");
    symlink("real.toml", folder.path().join("mine.toml")).expect("there is room");
    folder.gives(0, &add);
    let written = std::fs::read_to_string(&real).expect("it is there");
    assert!(written.contains("# real") && written.contains("test/misbehave"));
    let rights = real.metadata().expect("it is there").permissions();
    assert_eq!(rights.mode() & 0o777, 0o600);
    let wrong = folder.gives(2, &["grants", "add", "lab/none", "--grants", "mine.toml"]);
    assert!(wrong.contains("no plugin `lab/none` is known"), "{wrong}");
    let wrong = folder.gives(2, &[&add[..], &["--directory", "nots=/tmp"]].concat());
    assert!(wrong.contains("no such directory"), "{wrong}");
    let wrong = folder.gives(2, &[&add[..], &["--speed", "7"]].concat());
    assert!(wrong.contains("not in (0, 1]"), "{wrong}");
    folder.write("mine.toml", b"plugins = 3");
    folder.gives(2, &add);
}
