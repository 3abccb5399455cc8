//! Whether the cell has what a plugin needs: policies, with the models that it was made for, and equipment.

use std::collections::{BTreeMap, BTreeSet};

use sinew_perception::Detector;
use sinew_plugin_host::{Grants, Manifest};
use sinew_policy::PolicyStore;
use sinew_sim::Cell;

use crate::kit::named_poses;
use crate::sources::Config;

/// What there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Provided {
    /// SHA-256 of each policy's model, by its name.
    pub(crate) policies: BTreeMap<String, String>,
    /// Width that the gripper opens to, m.
    pub(crate) gripper_opening_m: f64,
    /// Its force, N.
    pub(crate) gripper_force_n: f64,
    /// Named poses.
    pub(crate) poses: BTreeSet<String>,
    /// Classes that perception knows.
    pub(crate) classes: BTreeSet<String>,
    /// Kinds of the cell's places.
    pub(crate) place_kinds: BTreeSet<String>,
}

impl Provided {
    /// What a cell has by its configuration and models.
    pub(crate) fn of(config: &Config, detector: &Detector, policies: &PolicyStore) -> Self {
        let gripper = &config.robot.gripper;
        let cell = Cell::new(&config.robot, &config.cell);
        Self {
            policies: (policies.iter())
                .map(|policy| {
                    let manifest = policy.manifest();
                    (manifest.name.clone(), manifest.model.sha256.clone())
                })
                .collect(),
            gripper_opening_m: gripper.width_max_m,
            gripper_force_n: gripper.force_max_n,
            poses: named_poses(config).into_keys().collect(),
            classes: detector.classes().map(str::to_owned).collect(),
            place_kinds: (cell.places().into_iter())
                .map(|place| place.kind.to_owned())
                .collect(),
        }
    }
}

/// A class that nothing is of would leave its plugin blind, and nobody would know: what is wrong with what it was granted.
pub(crate) fn unknown_class(name: &str, grants: &Grants, there: &Provided) -> Option<String> {
    let granted = grants.of(name).and_then(|grant| grant.classes.as_ref());
    let class = (granted.into_iter().flatten()).find(|class| !there.classes.contains(*class))?;
    Some(format!(
        "the grants of plugins.\"{name}\": classes: nothing is a `{class}`; the detector knows {}",
        list(there.classes.iter())
    ))
}

/// Everything that a plugin needs and that is not there, each in words; empty if nothing is.
pub(crate) fn missing(manifest: &Manifest, there: &Provided) -> Vec<String> {
    let mut missing = Vec::new();
    for policy in &manifest.policies {
        let Some(model) = there.policies.get(policy) else {
            missing.push(format!(
                "it runs the policy `{policy}`, which is not there; there are: {}. Put it into the folder of --models",
                list(there.policies.keys())
            ));
            continue;
        };
        if let Some(made_for) = manifest.policy_digests.get(policy)
            && made_for != model
        {
            missing.push(format!(
                "it was made for the model {made_for} of the policy `{policy}`, and here is {model}"
            ));
        }
    }
    let equipment = &manifest.equipment;
    for (what, least, has, unit) in [
        (
            "a gripper that opens to",
            equipment.gripper_opening_m,
            there.gripper_opening_m,
            "m",
        ),
        (
            "a gripper with",
            equipment.gripper_force_n,
            there.gripper_force_n,
            "N",
        ),
    ] {
        if let Some(least) = least.filter(|least| *least > has) {
            missing.push(format!(
                "it needs {what} {least} {unit}, this one has {has} {unit}"
            ));
        }
    }
    for (what, needs, has) in [
        ("the pose", &equipment.poses, &there.poses),
        ("objects of the class", &equipment.classes, &there.classes),
        (
            "a place of the kind",
            &equipment.place_kinds,
            &there.place_kinds,
        ),
    ] {
        for need in needs.iter().filter(|need| !has.contains(*need)) {
            missing.push(format!(
                "it needs {what} `{need}`, which is not known here; there are: {}",
                list(has)
            ));
        }
    }
    missing
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_named() {
        let digest = "ab".repeat(32);
        let manifest = format!(
            r#"{{"name":"lab/pick","version":"1.0.0","kind":"skill","wit":"{}","summary":"s",
            "params_schema":true,"result_schema":true,"policies":["grasp","push"],
            "policy_digests":{{"grasp":"{digest}"}},
            "equipment":{{"gripper_opening_m":0.2,"gripper_force_n":10,"poses":["home","park"],
                "classes":["block"],"place_kinds":["shelf"]}}}}"#,
            sinew_plugin_host::WIT_VERSION
        );
        let manifest = Manifest::from_json(manifest.as_bytes()).expect("a manifest");
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let there = Provided {
            policies: BTreeMap::from([("grasp".to_owned(), "cd".repeat(32))]),
            gripper_opening_m: 0.08,
            gripper_force_n: 40.0,
            poses: set(&["home"]),
            classes: set(&["block", "disc"]),
            place_kinds: set(&["slot"]),
        };
        let missing = missing(&manifest, &there);
        let expected = [
            "made for the model abab",
            "the policy `push`, which is not there; there are: grasp",
            "opens to 0.2 m, this one has 0.08 m",
            "the pose `park`, which is not known here; there are: home",
            "of the kind `shelf`",
        ];
        assert_eq!(missing.len(), expected.len(), "{missing:?}");
        for (missing, expected) in missing.iter().zip(expected) {
            assert!(missing.contains(expected), "{missing}");
        }
    }
}
