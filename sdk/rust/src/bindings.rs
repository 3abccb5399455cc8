//! What is generated from `wit/0.1`. Nothing of this is part of the interface of the crate but the records
//! that [`crate`] re-exports.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    unsafe_code
)]

pub mod capabilities {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "capabilities",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        generate_all,
    });
}

pub mod skill {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "skill",
        with: {
            "sinew:plugin/types@0.1.0": super::capabilities::sinew::plugin::types,
            "sinew:plugin/world@0.1.0": super::capabilities::sinew::plugin::world,
            "sinew:plugin/motion@0.1.0": super::capabilities::sinew::plugin::motion,
            "sinew:plugin/gripper@0.1.0": super::capabilities::sinew::plugin::gripper,
            "sinew:plugin/policy@0.1.0": super::capabilities::sinew::plugin::policy,
            "sinew:plugin/memory@0.1.0": super::capabilities::sinew::plugin::memory,
            "sinew:plugin/files@0.1.0": super::capabilities::sinew::plugin::files,
            "sinew:plugin/operator@0.1.0": super::capabilities::sinew::plugin::operator,
            "sinew:plugin/events@0.1.0": super::capabilities::sinew::plugin::events,
            "sinew:plugin/log@0.1.0": super::capabilities::sinew::plugin::log,
            "sinew:plugin/clock@0.1.0": super::capabilities::sinew::plugin::clock,
            "sinew:plugin/lifecycle@0.1.0": super::capabilities::sinew::plugin::lifecycle,
        },
        pub_export_macro: true,
        export_macro_name: "export_skill",
        default_bindings_module: "sinew_sdk::__bindings::skill",
    });
}

pub mod recovery {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "recovery",
        with: {
            "sinew:plugin/types@0.1.0": super::capabilities::sinew::plugin::types,
            "sinew:plugin/world@0.1.0": super::capabilities::sinew::plugin::world,
            "sinew:plugin/motion@0.1.0": super::capabilities::sinew::plugin::motion,
            "sinew:plugin/gripper@0.1.0": super::capabilities::sinew::plugin::gripper,
            "sinew:plugin/policy@0.1.0": super::capabilities::sinew::plugin::policy,
            "sinew:plugin/memory@0.1.0": super::capabilities::sinew::plugin::memory,
            "sinew:plugin/files@0.1.0": super::capabilities::sinew::plugin::files,
            "sinew:plugin/operator@0.1.0": super::capabilities::sinew::plugin::operator,
            "sinew:plugin/events@0.1.0": super::capabilities::sinew::plugin::events,
            "sinew:plugin/log@0.1.0": super::capabilities::sinew::plugin::log,
            "sinew:plugin/clock@0.1.0": super::capabilities::sinew::plugin::clock,
            "sinew:plugin/lifecycle@0.1.0": super::capabilities::sinew::plugin::lifecycle,
        },
        pub_export_macro: true,
        export_macro_name: "export_recovery",
        default_bindings_module: "sinew_sdk::__bindings::recovery",
    });
}
