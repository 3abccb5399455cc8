//! Things of one kind in a file, by name.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::config::ConfigError;

/// One thing that a file lists by name.
pub trait Listed: DeserializeOwned {
    /// What one is called, in errors.
    const KIND: &'static str;
    /// The file that ships with the crate, and what it is called.
    const BUILTIN: (&'static str, &'static str);

    /// Takes over its name in the file.
    fn set_name(&mut self, name: &str);

    /// Says which key holds a value that cannot be, and why, if one does.
    ///
    /// # Errors
    /// The key and the problem.
    fn check(&self) -> Result<(), (String, String)>;
}

/// Nothing of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {name:?}; there are: {}", known.join(", "))]
pub struct Unknown {
    /// What one is called.
    pub kind: &'static str,
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: Vec<String>,
}

/// All things of a file, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue<T> {
    by_name: BTreeMap<String, T>,
}

impl<T: Listed> Catalogue<T> {
    /// Those that ship with the crate.
    #[must_use]
    pub fn builtin() -> Self {
        let (text, origin) = T::BUILTIN;
        Self::from_toml(text, origin).expect("the shipped file is tested")
    }

    /// Parses and checks a file; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ConfigError`] for unknown keys, wrong types, and values that cannot be.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let mut by_name: BTreeMap<String, T> =
            toml::from_str(text).map_err(|error| ConfigError::Parse {
                origin: origin.to_owned(),
                message: error.to_string(),
            })?;
        for (name, listed) in &mut by_name {
            listed.set_name(name);
            listed
                .check()
                .map_err(|(key, problem)| ConfigError::Value {
                    origin: origin.to_owned(),
                    key: format!("{name}.{key}"),
                    problem,
                })?;
        }
        Ok(Self { by_name })
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`Unknown`] with the names that there are.
    pub fn get(&self, name: &str) -> Result<&T, Unknown> {
        self.by_name.get(name).ok_or_else(|| Unknown {
            kind: T::KIND,
            name: name.to_owned(),
            known: self.names().map(str::to_owned).collect(),
        })
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
