//! The reference page of the safety file says what the code knows: the same keys, ranges and values.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde::de::value::Error;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{BUILTIN, SafetyFile, shape};
use crate::{DescriptionError, RobotDescription};

const PAGE: &str = include_str!("../../../SAFETY_FILE.md");

/// What serde asks for when it reads a file: each key of its shape, as a path, and which may be left out.
#[derive(Default)]
struct Keys {
    all: BTreeSet<String>,
    optional: BTreeSet<String>,
}

impl Keys {
    fn of_the_shape() -> Self {
        let mut keys = Self::default();
        let walk = Walk {
            path: String::new(),
            keys: &mut keys,
        };
        shape::Safety::deserialize(walk).expect("the walk knows every type of the shape");
        keys
    }
}

/// A deserializer that answers every question with something and writes down what was asked.
struct Walk<'a> {
    path: String,
    keys: &'a mut Keys,
}

impl<'a> Walk<'a> {
    fn below(&mut self, field: &str) -> Walk<'_> {
        let path = match self.path.as_str() {
            "" => field.to_owned(),
            path => format!("{path}.{field}"),
        };
        Walk {
            path,
            keys: self.keys,
        }
    }

    /// A key with a value.
    fn leaf(self) {
        self.keys.all.insert(self.path);
    }

    fn again(&mut self) -> Walk<'_> {
        Walk {
            path: self.path.clone(),
            keys: self.keys,
        }
    }
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom(format!(
            "a type unknown to the walk at {}",
            self.path
        )))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf();
        visitor.visit_f64(0.0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf();
        visitor.visit_u32(0)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf();
        visitor.visit_u64(0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf();
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.keys.optional.insert(self.path.clone());
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements {
            walk: self,
            left: 1,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements {
            walk: self,
            left: len,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { walk: self, fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.leaf();
        visitor.visit_enum(variants[0].into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u128 f32 char str bytes byte_buf unit unit_struct newtype_struct
        tuple_struct map identifier ignored_any
    }
}

struct Elements<'a> {
    walk: Walk<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.walk.again()).map(Some)
    }
}

struct Fields<'a> {
    walk: Walk<'a>,
    /// Those that were not asked for yet.
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        match self.fields.first() {
            Some(field) => seed.deserialize((*field).into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (field, rest) =
            (self.fields.split_first()).ok_or_else(|| Error::custom("no key before"))?;
        self.fields = rest;
        seed.deserialize(self.walk.below(field))
    }
}

/// A row of a table of keys.
struct Row {
    key: String,
    range: String,
    built_in: String,
}

fn rows() -> Vec<Row> {
    (PAGE.lines())
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            assert_eq!(cells.len(), 5, "{line}");
            Row {
                key: cells[0].trim_matches(['|', ' ', '`']).to_owned(),
                range: cells[2].to_owned(),
                built_in: cells[3].trim_matches('`').to_owned(),
            }
        })
        .collect()
}

/// The file that the page shows.
fn example() -> &'static str {
    let (_, rest) = PAGE.split_once("```toml\n").expect("the page shows a file");
    rest.split_once("```").expect("it ends").0
}

/// Paths of all values of a file; tables in lists have no number.
fn leaves<'a>(path: &str, value: &'a toml::Value, found: &mut Vec<(String, &'a toml::Value)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(&path, value, found);
            }
        }
        toml::Value::Array(array) if array.iter().any(toml::Value::is_table) => {
            for value in array {
                leaves(path, value, found);
            }
        }
        value => found.push((path.to_owned(), value)),
    }
}

fn parsed(text: &str) -> toml::Value {
    toml::Value::Table(text.parse().expect("it is TOML"))
}

#[test]
fn the_page_is_found() {
    let readme = include_str!("../../../../README.md");
    assert!(readme.contains("(host/SAFETY_FILE.md)"));
}

#[test]
fn the_page_has_every_key_and_no_other() {
    let keys = Keys::of_the_shape();
    assert!(keys.all.len() > 50 && keys.all.contains("zone.box.min_m"));
    let rows = rows();
    let on_the_page: BTreeSet<String> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(on_the_page.len(), rows.len(), "each key once");
    assert_eq!(on_the_page, keys.all);
    let file = parsed(example());
    let mut found = Vec::new();
    leaves("", &file, &mut found);
    let in_the_example: BTreeSet<String> = found.into_iter().map(|(key, _)| key).collect();
    assert_eq!(in_the_example, keys.all);
    for section in keys.optional.iter().filter(|path| !path.contains('.')) {
        assert!(
            PAGE.contains(&format!("## `[{section}]` (may be left out")),
            "[{section}] may be left out"
        );
    }
    let left_out = PAGE.matches("` (may be left out").count();
    let optional = keys.optional.iter().filter(|path| !path.contains('.'));
    assert_eq!(left_out, optional.count());
}

#[test]
fn the_page_says_what_a_name_is() {
    let words: Vec<&str> = PAGE.split_whitespace().collect();
    assert!(words.join(" ").contains(crate::name::ALLOWED));
}

#[test]
fn the_page_has_the_values_that_are_built_in() {
    let file = parsed(BUILTIN);
    let mut found = Vec::new();
    leaves("", &file, &mut found);
    for row in rows().iter().filter(|row| !row.key.starts_with("zone.")) {
        let value = (found.iter()).find_map(|(key, value)| (*key == row.key).then_some(*value));
        match value {
            None => assert_eq!(row.built_in, "not there", "{}", row.key),
            Some(value) => {
                let stated = parsed(&format!("value = {}", row.built_in));
                assert_eq!(&stated["value"], value, "{}", row.key);
            }
        }
    }
}

#[test]
fn the_file_on_the_page_can_be_used() {
    SafetyFile::from_toml_str(example(), "SAFETY_FILE.md")
        .and_then(|file| file.limits(&RobotDescription::builtin()))
        .expect("everything in it is possible");
}

/// Every number of the example, spoilt: what the refusal allows is what the page says.
#[test]
fn the_page_has_the_ranges_that_are_checked() {
    fn spoil(value: &mut toml::Value, by: f64) -> bool {
        match value {
            toml::Value::Float(number) => *number = by,
            toml::Value::Integer(number) => *number = by.min(4e9) as i64,
            toml::Value::Array(array) if !array.is_empty() => return spoil(&mut array[0], by),
            _ => return false,
        }
        true
    }
    let mut checked = 0;
    for row in rows() {
        let mut file = parsed(example());
        let mut at = Some(&mut file);
        for part in row.key.split('.') {
            // Of several zones the one that has the key.
            at = at.and_then(|value| match value {
                toml::Value::Array(list) => list.iter_mut().find_map(|one| one.get_mut(part)),
                value => value.get_mut(part),
            });
        }
        let value = at.unwrap_or_else(|| panic!("{} is in the example", row.key));
        if !spoil(value, 1e300) {
            continue;
        }
        let text = toml::to_string(&file).expect("it can be written");
        let error = SafetyFile::from_toml_str(&text, "spoilt")
            .and_then(|file| file.limits(&RobotDescription::builtin()))
            .expect_err(&row.key);
        let DescriptionError::Value { key, allowed, .. } = &error else {
            panic!("{}: {error}", row.key);
        };
        let plain: String = key
            .chars()
            .filter(|c| !"[]0123456789".contains(*c))
            .collect();
        // What is wrong only beside another value is said there, in words.
        if plain == row.key && allowed.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            let upper = allowed.strip_prefix("up to ").unwrap_or(allowed);
            assert!(
                row.range.contains(upper),
                "{}: {} is not {allowed}",
                row.key,
                row.range
            );
            checked += 1;
        }
    }
    assert!(checked > 45, "{checked}");
}
