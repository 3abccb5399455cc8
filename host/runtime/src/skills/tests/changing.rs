//! What may be changed although nobody can be told.

use super::books::Rig;
use super::{NAME, sources};
use crate::skills::{Author, StoreOptions, pin, remove, rollback};

#[test]
fn what_makes_the_robot_safer_is_not_held_up_by_a_log() {
    let rig = Rig::new();
    let options = StoreOptions {
        place: rig.place(),
        built_in: Vec::new(),
        sources: sources(&rig.root()),
    };
    let author = Author {
        actor: "ben".to_owned(),
        audit: rig.folder.path().join("audit.jsonl"),
    };
    std::fs::write(&author.audit, "no log at all\n").expect("it can be written");
    let select = |text: &str| text.parse().expect("it names a plugin");
    let name = select(NAME);
    assert!(pin(&options, &author, &name, true).is_err());
    let back = rollback(&options, &author, &name, "slow").expect("it is done");
    assert_eq!(back.version, "1.0.0");
    assert!(
        back.to_text()
            .contains("BUT     it is done, but not in the audit log"),
        "{back:?}"
    );
    let second = select("sinew/kit-parts@2.0.0");
    assert!(
        remove(&options, &author, &second, true).is_err(),
        "it is not active"
    );
    let gone = remove(&options, &author, &select("sinew/kit-parts@1.0.0"), true);
    assert!(
        gone.expect("it is done")
            .warning
            .contains("not in the audit log")
    );

    // Once there is a log, it is told of all of it.
    std::fs::remove_file(&author.audit).expect("it is there");
    let removed = remove(&options, &author, &second, false).expect("it is done");
    assert_eq!(removed.warning, "");
    let log = std::fs::read_to_string(&author.audit).expect("it is there");
    let events = rig.shelf.store.history(None).expect("it can be read").len();
    assert_eq!(log.matches("\"plugin-").count(), events, "{log}");
}
