//! The files that an operator writes: who signs, and what each plugin may do.

use sinew_plugin_host::{Grants, Manifest};
use sinew_skill_store::{Date, Digest, PublicKey, Selector, Trust, TrustError, Version};

use crate::choices::Choices;
use crate::seeds::manifest_of;

const TODAY: Date = Date {
    year: 2026,
    month: 7,
    day: 1,
};

/// The first byte says what the others are.
pub fn trust_and_grants(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let what = choices.byte();
    let text = String::from_utf8_lossy(choices.rest());
    match what % 3 {
        0 => trust(&text),
        1 => grants(&text),
        _ => words(&text),
    }
}

fn trust(text: &str) {
    let Ok(trust) = Trust::from_toml_str(text, "trust.toml") else {
        return;
    };
    let digest = Digest::of(text.as_bytes());
    // Keys that stand in it, and one that may not.
    let spelt =
        (text.match_indices("ed25519:")).filter_map(|(at, _)| text.get(at..at + 72)?.parse().ok());
    for key in spelt.take(8).chain(
        ["ed25519:".to_owned() + &"0".repeat(64)]
            .iter()
            .filter_map(|key| key.parse().ok()),
    ) {
        let key: PublicKey = key;
        let of = trust.publisher(key, TODAY);
        if let Ok(publisher) = of {
            let name = format!("{publisher}/pick");
            assert_eq!(trust.still_counts(&name, digest, Some(key)), Ok(()));
            let unsigned = trust.still_counts(&name, digest, None);
            assert!(matches!(unsigned, Err(TrustError::Unsigned { .. })));
            let other = trust.still_counts(&format!("{publisher}0/pick"), digest, Some(key));
            assert!(other.is_err(), "a key signs for its own publisher");
        }
    }
}

fn grants(text: &str) {
    let Ok(grants) = Grants::from_toml_str(text, "grants.toml") else {
        return;
    };
    let names: Vec<String> = grants.names().map(str::to_owned).collect();
    for name in names.iter().take(8) {
        let grant = grants.of(name).expect("it was named");
        for share in [grant.speed, grant.acceleration] {
            assert!(share > 0.0 && share <= 1.0, "{name}: {share}");
        }
        for force in [grant.force_n, grant.contact_n].into_iter().flatten() {
            assert!(force.is_finite() && force > 0.0, "{name}: {force}");
        }
        let all = ["world", "motion", "gripper", "files"];
        let manifest = manifest_of(name, "skill", &all).to_string();
        let Ok(manifest) = Manifest::from_json(manifest.as_bytes()) else {
            continue;
        };
        let lacks = !grants.lack(&manifest).is_empty();
        match grants.meet(&manifest) {
            Ok(met) => {
                assert!(!lacks);
                assert!(met.interfaces.is_subset(&grant.interfaces));
            }
            Err(_) => assert!(lacks),
        }
    }
    let other = Grants::from_toml_str("", "none").expect("nothing is nothing wrong");
    let count = names.len();
    assert_eq!(grants.overridden_by(other).names().count(), count);
}

/// Words that name something: read, written and read again they are the same.
fn words(text: &str) {
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string().parse::<Version>().ok(), Some(version));
    }
    if let Ok(selector) = text.parse::<Selector>() {
        assert_eq!(selector.to_string().parse(), Ok(selector));
    }
}
