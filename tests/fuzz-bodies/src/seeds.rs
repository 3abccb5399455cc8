//! What the targets begin with. Seeds are made, not kept: a change of the manifest or the package changes them with it.

use serde_json::{Value, json};

use crate::raw::with_manifest;
use crate::signature::{key, signed};

/// The component that is nothing but one.
pub(crate) const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// Targets whose input is bytes, and what each does with them. `guest` takes what wasm-smith makes of bytes.
pub const BODIES: [(&str, Body); 5] = [
    ("install", crate::install),
    ("manifest", crate::manifest),
    ("signature", crate::signature),
    ("trust_and_grants", crate::trust_and_grants),
    ("wit_boundary", crate::wit_boundary),
];

/// Seeds of a target.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "install" => install(),
        "manifest" => manifests(),
        "signature" => signatures(),
        "trust_and_grants" => trust_and_grants(),
        "wit_boundary" => (0..32).map(|number| drawn(number, 400)).collect(),
        "guest" => (0..16).map(|number| drawn(number, 600)).collect(),
        _ => Vec::new(),
    }
}

/// A manifest that promises nothing: any parameters, any result, no post-conditions.
pub(crate) fn manifest_of(name: &str, kind: &str, asks: &[&str]) -> Value {
    let imports: Vec<Value> = (asks.iter())
        .map(|ask| json!({"interface": ask, "why": "to be tried"}))
        .collect();
    json!({
        "name": name, "version": "1.0.0", "kind": kind, "wit": "0.1.0", "summary": "is tried",
        "imports": imports, "params_schema": true, "result_schema": true, "checkpoints": [1],
        "directories": [],
    })
}

/// A component that does nothing, and its manifest.
pub(crate) fn smallest_plugin() -> Vec<u8> {
    with_manifest(COMPONENT.to_vec(), &manifest_of("lab/pick", "skill", &[]))
}

/// A manifest that asks for something of everything.
fn full_manifest() -> Value {
    let mut manifest = manifest_of("lab/pick", "recovery", &["motion", "files", "policy"]);
    let more = json!({
        "parts": ["arm", "gripper"],
        "policies": ["grasp"],
        "policy_digests": {"grasp": "5f".repeat(32)},
        "equipment": {"gripper_opening_m": 0.08, "gripper_force_n": 20, "poses": ["home"], "classes": ["block"],
                      "place_kinds": ["tray"]},
        "directories": [{"name": "orders", "why": "to read them", "write": true, "optional": false}],
        "handles": ["no-grasp"],
        "post_conditions": [
            {"predicate": "class-in-slot", "each": "/order", "class": "/class", "slot": "/slot"},
            {"predicate": "count", "place": "tray", "class": "block", "min": 1},
            {"predicate": "at-pose", "pose": "home", "tolerance_rad": 0.1},
            {"predicate": "holding", "value": false},
        ],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        manifest[key] = value.clone();
    }
    manifest
}

/// Schemas, each with a value that it is for.
fn schemas() -> Vec<(Value, Value)> {
    let named = json!({"$defs": {"b": {"enum": [1, "x", null]}}, "properties": {"a": {"$ref": "#/$defs/b"}}});
    vec![
        (
            json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {"a": {"type": "integer"}}}),
            json!({"a": 3}),
        ),
        (named, json!({"a": "x"})),
        (
            json!({"pattern": "^(a+)+$", "minLength": 2, "format": "email"}),
            json!("aaaaaaaaaaaaaaaaaaaaaaaab"),
        ),
        (
            json!({"anyOf": [{"pattern": "(?<!x)(a*)*\\1c"}, {"pattern": "[ab]*a[ab]{9}c"}]}),
            json!("a".repeat(500)),
        ),
        (
            json!({"multipleOf": 0.01, "exclusiveMaximum": 1e308, "minimum": -5}),
            json!(0.07),
        ),
        (
            json!({"items": {"oneOf": [{"const": 1}, {"not": {"type": "string"}}]}, "uniqueItems": true, "prefixItems": [true]}),
            json!([1, 2, 2.0]),
        ),
        (
            json!({"patternProperties": {"^x": {"$ref": "#/definitions/t"}}, "definitions": {"t": {"type": ["null", "array"]}}, "propertyNames": {"maxLength": 9}}),
            json!({"xy": []}),
        ),
        (
            json!({"if": {"minProperties": 1}, "then": {"dependentRequired": {"a": ["b"]}}, "else": false, "contains": {}, "minContains": 2}),
            json!({"a": {}}),
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}, "contentEncoding": "base64"}),
            json!({"a": 1}),
        ),
        (
            json!({"anyOf": [{"allOf": [{"type": "number"}, {"maximum": 12_345_678_901_234_567_890_u64}]}, {"type": "boolean"}]}),
            json!(1e19),
        ),
    ]
}

/// A schema whose references lead through as many places as it may have nodes. They stand where they are not followed before
/// something leads to them.
fn chain() -> Value {
    let links = 1_600;
    let mut places: serde_json::Map<String, Value> = (0..links)
        .map(|link| {
            (
                format!("a{link}"),
                json!({"$ref": format!("#/default/a{}", link + 1)}),
            )
        })
        .collect();
    places.insert(format!("a{links}"), json!({"type": "string"}));
    json!({"default": places, "$ref": "#/default/a0"})
}

fn manifests() -> Vec<Vec<u8>> {
    // After the last field comes the whole.
    let whole = crate::manifest::FIELDS.len() as u8;
    let mut seeds = vec![[&[whole], full_manifest().to_string().as_bytes()].concat()];
    for (schema, value) in schemas() {
        seeds.push(
            [
                b"\0",
                schema.to_string().as_bytes(),
                b"\0",
                value.to_string().as_bytes(),
            ]
            .concat(),
        );
    }
    seeds.push([b"\0", chain().to_string().as_bytes(), b"\0\"x\""].concat());
    let full = full_manifest();
    for (number, field) in crate::manifest::FIELDS.iter().enumerate() {
        let value = full.get(field).unwrap_or(&Value::Null);
        for first in [number as u8, number as u8 | 0x80] {
            seeds.push([&[first], value.to_string().as_bytes()].concat());
        }
    }
    seeds
}

fn signatures() -> Vec<Vec<u8>> {
    let plugin = smallest_plugin();
    let mut seeds = vec![
        [b"\0", &plugin[..]].concat(),
        [b"\0", signed()].concat(),
        [b"\0", signed(), &signed()[plugin.len()..]].concat(),
        [b"\0", signed(), b"\0\x05\x04more"].concat(),
        [b"\0", signed(), &plugin[8..]].concat(),
        [b"\0", b"\0asm\x01\0\0\0".as_slice()].concat(),
    ];
    seeds.extend((0..8).map(|number| [b"\x01", &drawn(number, 12)[..]].concat()));
    seeds
}

fn trust_and_grants() -> Vec<Vec<u8>> {
    let (one, other) = (key(1).public(), key(2).public());
    let trust = format!(
        "[[publishers.acme.keys]]\nkey = \"{one}\"\nfrom = 2026-01-01\nuntil = 2027-12-31\n\
         [[publishers.lab.keys]]\nkey = \"{other}\"\nrevoked = \"lost\"\n\
         [[revoked]]\ndigest = \"{}\"\nwhy = \"drops parts\"\n",
        "5f".repeat(32)
    );
    let grants = "[plugins.\"a/b\"]\ninterfaces = [\"motion\", \"files\"]\nparts = [\"arm\"]\npolicies = [\"grasp\"]\nclasses = []\n\
         speed = 0.8\nforce_n = 40.0\ncontact_n = 20\n[[plugins.\"a/b\".zones_in]]\nname = \"table\"\nmin_m = [0.2, -0.5, 0.0]\n\
         max_m = [0.8, 0.5, 0.6]\n[[plugins.\"a/b\".directories]]\nname = \"orders\"\npath = \"/var/orders\"\nwrite = true\n\
         quota_bytes = 1\n[plugins.\"a/b\".limits]\nhandles = 3\n";
    let words = [
        "1.2.3-rc.1+b",
        "acme/pick@sha256:5f2c",
        "pick@1.2.0",
        &one.to_string(),
    ];
    let mut seeds = vec![
        [b"\0", trust.as_bytes()].concat(),
        [b"\x01", grants.as_bytes()].concat(),
        [b"\x02", "5f".repeat(32).as_bytes()].concat(),
    ];
    seeds.extend(words.map(|word| [b"\x02", word.as_bytes()].concat()));
    seeds
}

fn install() -> Vec<Vec<u8>> {
    let plain = smallest_plugin();
    let mut seeds = vec![
        [b"\x01\0", &plain[..]].concat(),
        [b"\0\0", signed()].concat(),
    ];
    // Unsigned or not, one of the components, no edits: what is drawn after that chooses the rest.
    for component in 0..4 {
        for signer in [0, 4, 5, 6] {
            for unsigned in 0..2 {
                seeds.push(vec![
                    unsigned,
                    1,
                    component,
                    0,
                    component % 2 * 2,
                    0,
                    0,
                    0,
                    0,
                    0,
                    signer,
                ]);
            }
        }
    }
    seeds.extend((0..16).map(|number| drawn(number, 60)));
    seeds
}

/// Bytes that nobody chose, the same every time.
#[must_use]
pub fn drawn(number: u64, count: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..8).for_each(|_| {
        next();
    });
    (0..count).map(|_| next()).collect()
}

/// A seed that was changed a little, in one of many ways.
#[must_use]
pub fn changed(seed: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let drawn = drawn(number ^ seed.len() as u64, 24);
    for way in drawn.chunks_exact(4).take(1 + usize::from(drawn[23] % 5)) {
        let at = usize::from(u16::from_le_bytes([way[0], way[1]])) % (bytes.len() + 1);
        match way[2] % 4 {
            0 => bytes.insert(at, way[3]),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at.max(1)),
            _ if at < bytes.len() => bytes[at] ^= way[3],
            _ => bytes.push(way[3]),
        }
    }
    bytes
}
