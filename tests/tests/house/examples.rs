//! The files under `examples/` are accepted as they are.

use std::path::{Path, PathBuf};

use sinew_runtime::Sources;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::SubmitOptions;
use sinew_tests::Rig;

fn example(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(name)
}

#[test]
fn configuration_is_accepted() {
    let sources = Sources {
        default_grants: sinew_skill_artifacts::GRANTS.into(),
        host: Some(example("host.toml")),
        grants: Some(example("grants.toml")),
        ..Sources::default()
    };
    let config = sources.load().expect("the examples are sound");
    assert_eq!(config.settings.perception.rate_hz, 15.0);
    let grant = config.grants.of("sinew/kit-parts").expect("it is named");
    assert_eq!(grant.speed, 0.5);
}

#[test]
fn the_order_is_accepted() {
    let params = std::fs::read_to_string(example("order.json")).expect("it is there");
    let mut rig = Rig::new(501, 0, &Profile::calm());
    rig.host
        .tasks()
        .submit("sinew/kit-parts", &params, SubmitOptions::default())
        .expect("it fits the skill and the cell");
}
